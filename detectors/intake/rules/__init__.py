"""Rules on single events: an event that a rule catches is invalid at once, with a reason code."""
