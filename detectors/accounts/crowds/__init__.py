"""Accounts of a crowd together: what they do until a case is settled, new accounts, followers."""
