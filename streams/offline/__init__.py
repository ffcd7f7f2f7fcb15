"""Recorded files, replays, backtests and simulated traffic."""
