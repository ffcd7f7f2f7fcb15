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
