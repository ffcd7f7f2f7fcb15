"""The command backtest, its tables and its page."""
