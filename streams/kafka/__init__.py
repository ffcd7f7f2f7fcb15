"""Kafka: clients, topics, readers, senders, the embedded broker."""
