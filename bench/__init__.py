"""Benchmark of truecount on a real Kafka, compared with a bare consumer, a Faust agent and Quix Streams."""
