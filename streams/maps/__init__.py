"""Suggests a map for records without one: which of their fields is which field of an event."""
