"""Windows: their crowds, their scales, and event time."""
