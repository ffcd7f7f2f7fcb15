"""Scenarios with permanent ids: attacks, and honest crowds that must not be flagged."""
