"""Flags as text and charts, for the command line and the demo."""
