"""Persisted: the evidence of a target's past days."""

from __future__ import annotations

import msgspec

from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY_MS

DAYS_MAX = 28
"""Days that are stored, and during which learning may be blocked. What goes on for longer is normal for the target."""
UNKNOWN, WATCHED, HABITUAL = range(3)
"""What is known of a target's past: nothing; that it had no such crowds; the habits of its crowds."""

QUIET_DAYS = 7
"""Days without a wrong one after which the evidence is dropped."""

BLOCK_LEARNING_SCORE = 3.0
"""Joint score from which nothing is learned from the days: they may be fraud."""


class Day(msgspec.Struct, array_like=True, gc=False):
    """A day since the crowds of a key became suspicious."""

    start: int
    count: int
    score: float
    """-log10 p of the day's crowd by itself"""
    wrong: bool
    """whether both the people and their behaviour were suspicious"""
    artificial: float
    low: float
    high: float
    log_from: int
    quarantined: int = 0
    """events already moved to quarantine by the day's windows"""
    cased: int = 0
    """events that the case open at the day's end contained"""


class Slow(msgspec.Struct, array_like=True, gc=False):
    """Evidence accumulated over days."""

    sums: dict[str, tuple[float, float, int]] = {}
    """detector → log10 e, mean share of the crowd, days with evidence"""
    days: list[Day] = []
    past: int = UNKNOWN
    """what was known of the target when the first day was added"""
    joint: float = 0.0
    past_cased: bool = msgspec.field(default=False, name="told")
    """whether a case already contains the days before it"""

    def wrong_days(self) -> int:
        """Number of wrong days."""
        return sum(day.wrong for day in self.days)

    def close_day(self, start: int, crowd: Crowd) -> None:
        """Record the quarantined and cased events of the day that began at ``start``, if it is the last one."""
        day = self.days[-1]
        if day.start == start:
            day.quarantined, day.cased = crowd.quarantined, crowd.cased

    def past_days(self) -> list[Day]:
        """The days from the first wrong one on, without the last one."""
        first = next((index for index, day in enumerate(self.days) if day.wrong), len(self.days))
        return self.days[first:-1]

    def blocks_learning(self) -> bool:
        """Whether nothing may be learned from the key's days until there is a decision. Bounded by DAYS_MAX."""
        return self.joint >= BLOCK_LEARNING_SCORE and self.days[-1].start - self.days[0].start < DAYS_MAX * DAY_MS
