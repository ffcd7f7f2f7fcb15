"""The process around a worker: probes, health, logs, memory settings, deadline of a stop."""
