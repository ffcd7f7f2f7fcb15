"""Intake: puts events into open ticks; known ids, rules, historic events."""
