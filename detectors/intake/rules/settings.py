"""What the rules are told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """Which rules hold, and for whom they do not."""

    off: frozenset[str] = frozenset()
    """reasons that hold for nobody"""
    actors: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    """names that no rule applies to"""
    double_click_seconds: tuple[float, ...] = (30.0, 0.0, 0.0)
    """by metric, how soon the same act is the same; 0 never"""
    per_minute: int = 30
    """acts of one actor on one target in a minute; 0 is no limit"""
    per_day: int = 800
    """the same in 24 hours; 0 is no limit"""
