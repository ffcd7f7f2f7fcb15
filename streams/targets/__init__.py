"""The role targets: turns frames of the log into counts, flags and state."""
