"""Baselines of the platform: mixes, known actors, seasons, rates."""
