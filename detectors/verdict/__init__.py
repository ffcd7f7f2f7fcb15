"""Rules that turn the evidence about one window into a verdict."""
