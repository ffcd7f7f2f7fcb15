"""Tasks: one role on one partition, with checkpoints."""
