"""The same counting in Flink: a job in Java, and what builds and measures it."""
