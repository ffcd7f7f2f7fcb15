"""The detectors, one per file, and their registry."""
