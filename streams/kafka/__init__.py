"""Kafka: clients, topics, readers, a sender, Faust's consumer, and the embedded broker."""
