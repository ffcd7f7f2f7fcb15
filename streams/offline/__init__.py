"""Without a broker: recorded files, replays, backtests, simulated traffic."""
