"""Persisted state: sealed records, the disk store, keys in memory."""
