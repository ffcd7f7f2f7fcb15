"""Features of a window: names, and how each is computed."""
