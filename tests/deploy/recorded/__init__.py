"""Alerts against scrapes of live workers with real faults. ``python -m tests.deploy.recorded`` records them anew."""
