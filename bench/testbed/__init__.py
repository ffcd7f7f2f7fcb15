"""Real brokers and worker processes, for the tests and the bench."""
