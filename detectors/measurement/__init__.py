"""Features and expected count of one window, computed before it is judged."""
