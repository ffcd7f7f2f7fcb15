"""The role ingest: records of inputs into frames of the log."""
