"""The key of one metric of one target in the state."""

from __future__ import annotations


def key_of(metric: int, target: str) -> str:
    """State key of a target's metric: the metric's index and the id."""
    return f"{metric}{target}"
