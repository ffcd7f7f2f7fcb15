"""The end of a scale's windows: all of a partition are measured, judged and learned from as tables."""
