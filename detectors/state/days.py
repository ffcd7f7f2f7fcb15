"""Persisted: the evidence of a target's past days."""

from __future__ import annotations

import msgspec

from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY_MS

DAYS_MAX = 28
"""Days that are remembered, and up to which learning is held back: what goes on for longer is how the target is."""
UNKNOWN, WATCHED, HABITUAL = range(3)
"""What is known of a target's past: nothing; that it had no such crowds; what its crowds were like."""

QUIET_DAYS = 7
"""Days without a wrong one after which nothing more is expected."""

BLOCK_LEARNING_SCORE = 3.0
"""Joint score from which the days teach nothing: they may be what we are here to find."""


class Day(msgspec.Struct, array_like=True, gc=False):
    """A day since a key's crowds have been wrong."""

    start: int
    count: int
    score: float
    """-log10 p of the day's crowd by itself"""
    wrong: bool
    """whether somebody wrong came and something was done wrong"""
    artificial: float
    low: float
    high: float
    log_from: int
    quarantined: int = 0
    """events already moved by the windows of the day"""
    cased: int = 0
    """events that the case which was open at its end had told of"""


class Slow(msgspec.Struct, array_like=True, gc=False):
    """Evidence gathered over days."""

    sums: dict[str, tuple[float, float, int]] = {}
    """detector → log10 e, mean share of the crowd, days it spoke"""
    days: list[Day] = []
    past: int = UNKNOWN
    """what was known of the target when this began"""
    joint: float = 0.0
    past_cased: bool = msgspec.field(default=False, name="told")
    """whether a case already contains the days before it"""

    def wrong_days(self) -> int:
        """Days on which somebody wrong did something wrong."""
        return sum(day.wrong for day in self.days)

    def close_day(self, start: int, crowd: Crowd) -> None:
        """Note what became of the day that began at ``start``, if it is the last one gathered."""
        day = self.days[-1]
        if day.start == start:
            day.quarantined, day.cased = crowd.quarantined, crowd.cased

    def past_days(self) -> list[Day]:
        """The days from the first wrong one on, without the last."""
        first = next((index for index, day in enumerate(self.days) if day.wrong), len(self.days))
        return self.days[first:-1]

    def blocks_learning(self) -> bool:
        """Whether the key's days teach nothing until this has been decided; bounded by DAYS_MAX."""
        return self.joint >= BLOCK_LEARNING_SCORE and self.days[-1].start - self.days[0].start < DAYS_MAX * DAY_MS
