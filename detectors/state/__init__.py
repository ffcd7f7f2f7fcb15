"""The persisted layout: all that is stored of a target."""
