"""From evidence to a verdict on one window."""
