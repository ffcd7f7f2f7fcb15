"""Suggests a map for records that nobody has described yet: which field of them is which field of an event."""
