"""How events flow: Kafka in, Faust agents, Kafka and Prometheus out. What fraud looks like is in ``detectors``."""
