"""One window before it is judged: its features and what was expected."""
