"""Rulings on accounts: which one, when it changes, and how it is published."""
