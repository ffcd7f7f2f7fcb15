"""Codecs: records of an input into columns of native events."""
