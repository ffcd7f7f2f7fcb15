"""The role ingest: turns records of inputs into frames of the log."""
