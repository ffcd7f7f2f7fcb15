"""Seeded, labelled traffic in scenarios with permanent ids, and the backtest that measures detectors on it."""
