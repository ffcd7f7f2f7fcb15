"""Features of a window: their names, and their computation."""
