"""Simulated traffic of a platform: population, background events, and their columns."""
