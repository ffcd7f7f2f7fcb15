"""Seeded, labelled traffic with permanent scenario ids, and the backtest that measures detectors on it."""
