"""Events, columns of them, and the buckets of their values."""
