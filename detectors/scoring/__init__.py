"""Scores: the detector's protocol, calibration, p-values, sentences."""
