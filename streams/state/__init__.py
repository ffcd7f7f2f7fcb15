"""Persisted state: sealed records, the store on disk, and hot keys in memory."""
