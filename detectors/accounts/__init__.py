"""The accounts of one partition of ``by-actor``: what each did, and what is concluded from it."""
