"""How fast truecount is on a real Kafka, beside its ceiling and an agent without micro-batches."""
