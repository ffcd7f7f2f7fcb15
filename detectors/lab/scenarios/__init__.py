"""Scenarios with permanent ids: attacks and honest crowds."""
