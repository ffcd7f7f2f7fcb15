"""The service around a worker: probes, health, log, memory."""
