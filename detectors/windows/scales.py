"""The ladder of windows: tick, five minutes, hour, day."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Scale:
    """A length of windows. ``span_ms`` divides the next longer scale's."""

    name: str
    span_ms: int

    def start(self, ts_ms: int) -> int:
        """Start of the window that contains ``ts_ms``."""
        return ts_ms - ts_ms % self.span_ms


TICK, MINUTES, HOUR, DAY = "tick", "minutes", "hour", "day"
"""Names of the scales: keys in stored state and labels of metrics."""

TICK_SECONDS = 10
"""Default span of a tick."""

MINUTE_MS = 60_000
MINUTES_MS = 5 * MINUTE_MS
"""Span of the scale MINUTES: five minutes."""
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def ladder(tick_seconds: int) -> tuple[Scale, ...]:
    """The scales, the shortest first: they find a burst, a wave, a campaign, a slow drip.

    >>> [scale.name for scale in ladder(10)]
    ['tick', 'minutes', 'hour', 'day']
    """
    return (
        Scale(TICK, tick_seconds * 1000),
        Scale(MINUTES, MINUTES_MS),
        Scale(HOUR, HOUR_MS),
        Scale(DAY, DAY_MS),
    )


def parts_of(scales: tuple[Scale, ...]) -> tuple[int, ...]:
    """By scale, the number of windows of the next shorter scale in one; 0 for ticks and minutes, which are not split.

    >>> parts_of(ladder(10))
    (0, 0, 12, 24)
    """
    return (0, 0, *(longer.span_ms // shorter.span_ms for shorter, longer in pairwise(scales[1:])))
