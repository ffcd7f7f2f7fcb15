"""Rules on single events: a hit is invalid at once, for a reason that has a name."""
