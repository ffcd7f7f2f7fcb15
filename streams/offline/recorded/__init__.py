"""Recorded files as records of an input topic: rows of CSV, TSV, NDJSON, JSON and Parquet, in order of time."""
