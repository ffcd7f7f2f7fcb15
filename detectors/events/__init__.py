"""Events, their columns, and the buckets of their values."""
