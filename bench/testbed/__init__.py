"""Real brokers and worker processes, for tests and the benchmark."""
