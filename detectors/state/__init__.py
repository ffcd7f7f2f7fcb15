"""The persisted state of a target."""
