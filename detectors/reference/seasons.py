"""The platform's rhythm over the hours of the week."""

from __future__ import annotations

import msgspec

from detectors.windows.scales import HOUR_MS

HOURS_OF_WEEK = 168
SEASON_PRIOR_HOURS = 6.0
"""Weight of the prior "no rhythm", in observed hours."""


class Seasons(msgspec.Struct, array_like=True):
    """The platform's hour-of-week profile, in events per hour over all targets of one task."""

    hours: list[float] = msgspec.field(default_factory=lambda: [0.0] * HOURS_OF_WEEK)
    seen: list[int] = msgspec.field(default_factory=lambda: [0] * HOURS_OF_WEEK)
    daily: list[float] = msgspec.field(default_factory=lambda: [0.0] * 24)
    daily_seen: list[int] = msgspec.field(default_factory=lambda: [0] * 24)

    def learn(self, start_ms: int, count: float) -> None:
        """Learn the platform's (capped) count of the hour that starts at ``start_ms``."""
        for values, seen, index in (
            (self.hours, self.seen, hour_of_week(start_ms)),
            (self.daily, self.daily_seen, start_ms // HOUR_MS % 24),
        ):
            seen[index] += 1
            values[index] += (count - values[index]) / min(seen[index], 12)

    def expected(self, ts_ms: int) -> float:
        """Events expected in the hour of ``ts_ms``, 0 while none are known."""
        known = [value for value, seen in zip(self.daily, self.daily_seen, strict=True) if seen]
        return self.factor(ts_ms) * sum(known) / len(known) if known else 0.0

    def factor(self, ts_ms: int) -> float:
        """Expected activity at ``ts_ms`` relative to the average (1.0 = average or unknown)."""
        day = _relative(self.daily, self.daily_seen, ts_ms // HOUR_MS % 24)
        index = hour_of_week(ts_ms)
        if self.seen[index] < 2:
            return day
        week = _relative(self.hours, self.seen, index)
        weight = self.seen[index] / (self.seen[index] + 2.0)
        return day * (1.0 - weight) + week * weight


def _relative(values: list[float], seen: list[int], index: int) -> float:
    known = [v for v, s in zip(values, seen, strict=True) if s]
    if not seen[index] or len(known) < 2:
        return 1.0
    average = sum(known) / len(known)
    if average <= 0.0:
        return 1.0
    prior = SEASON_PRIOR_HOURS / len(known)
    weight = seen[index] / (seen[index] + prior)
    return min(5.0, max(0.2, weight * values[index] / average + (1.0 - weight)))


def hour_of_week(ts_ms: int) -> int:
    """0 … 167, Monday 00:00 UTC is 0.

    >>> hour_of_week(0)  # 1 January 1970 was a Thursday
    72
    """
    return (ts_ms // HOUR_MS + 72) % HOURS_OF_WEEK
