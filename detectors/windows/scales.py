"""The ladder of windows: tick, five minutes, hour, day.

All windows of a partition end at the same moments, those of different partitions do not (see ``stagger_ms``).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Scale:
    """A length of windows. ``span_ms`` divides the next longer scale's.

    Windows begin ``offset_ms`` after multiples of ``span_ms``. The offset is one of all scales, and a multiple of the
    tick, so each window is within one of the next longer scale.
    """

    name: str
    span_ms: int
    offset_ms: int = 0

    def start(self, ts_ms: int) -> int:
        """Start of the window that contains ``ts_ms``."""
        return start_of(ts_ms, self.span_ms, self.offset_ms)


def start_of(ts_ms: int, span_ms: int, offset_ms: int) -> int:
    """Start of the span that contains ``ts_ms``; spans begin ``offset_ms`` after multiples of ``span_ms``.

    >>> start_of(1_000, 300, 0), start_of(1_000, 300, 70), start_of(960, 300, 70)
    (900, 970, 670)
    """
    return ts_ms - (ts_ms - offset_ms) % span_ms


TICK, MINUTES, HOUR, DAY = "tick", "minutes", "hour", "day"
"""Names of the scales: keys in stored state and labels of metrics."""

TICK_SECONDS = 10
"""Default span of a tick."""

MINUTE_MS = 60_000
MINUTES_MS = 5 * MINUTE_MS
"""Span of the scale MINUTES: five minutes."""
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def ladder(tick_seconds: int, partition: int = 0) -> tuple[Scale, ...]:
    """The scales of a partition, the shortest first: they find a burst, a wave, a campaign, a slow drip.

    >>> [scale.name for scale in ladder(10)]
    ['tick', 'minutes', 'hour', 'day']
    """
    offset = stagger_ms(tick_seconds * 1000, partition)
    return (
        Scale(TICK, tick_seconds * 1000, offset),
        Scale(MINUTES, MINUTES_MS, offset),
        Scale(HOUR, HOUR_MS, offset),
        Scale(DAY, DAY_MS, offset),
    )


def stagger_ms(tick_ms: int, partition: int) -> int:
    """How much later than in partition 0 the windows of a partition begin: a number of ticks below five minutes.

    Otherwise the windows of all targets would end at one moment, and every flag of that time would wait for them. The
    offsets are van der Corput's sequence in base 2, so those of any number of partitions are spread evenly, and a
    partition keeps its offset if there are more of them.

    >>> [stagger_ms(10_000, partition) // 1000 for partition in range(8)]
    [0, 150, 70, 220, 30, 180, 110, 260]
    """
    share, half = 0.0, 0.5
    while partition:
        partition, bit = divmod(partition, 2)
        share += half * bit
        half /= 2.0
    return int(share * (MINUTES_MS // tick_ms)) * tick_ms


def parts_of(scales: tuple[Scale, ...]) -> tuple[int, ...]:
    """By scale, the number of windows of the next shorter scale in one; 0 for ticks and minutes, which are not split.

    >>> parts_of(ladder(10))
    (0, 0, 12, 24)
    """
    return (0, 0, *(longer.span_ms // shorter.span_ms for shorter, longer in pairwise(scales[1:])))
