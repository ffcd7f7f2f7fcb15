"""Simulated traffic of a platform."""
