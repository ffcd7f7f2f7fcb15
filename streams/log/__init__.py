"""Frames of the log: columns, versions, hashes."""
