"""Who currently likes or follows a target."""
