"""The map of an input: documents into columns of native events."""
