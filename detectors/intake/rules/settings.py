"""Settings of the rules."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """Which rules are off, who is exempt, and the limits."""

    off: frozenset[str] = frozenset()
    """reason codes of the rules that are off"""
    actors: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    """ids that no rule applies to"""
    double_click_seconds: tuple[float, ...] = (30.0, 0.0, 0.0)
    """by metric, seconds within which the same act is a repetition; 0 is off"""
    per_minute: int = 30
    """most acts of one actor on one target in a minute; 0 is no limit"""
    per_day: int = 800
    """the same in 24 hours; 0 is no limit"""
