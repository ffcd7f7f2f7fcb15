"""Flags as text and bar charts, for the command line and the demo."""
