"""Rules on single events: an operator's lists, declared robots, and what of it ingest writes into the log."""
