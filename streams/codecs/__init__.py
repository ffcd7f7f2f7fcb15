"""Codecs: the bytes of records into documents, one codec for each format."""
