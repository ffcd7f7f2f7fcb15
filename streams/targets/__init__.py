"""The role targets: frames of the log into counts, flags and state."""
