"""Baseline correction for platforms that emit a view when playback ends.

On such a platform, a minute after a hit begins only the viewers who left within a minute are known: every hit begins
as a crowd that leaves early. If arrivals grow in proportion to the time passed, then after an age A a view that lasts w
has been emitted with probability (1 - w/A)²: those who came in the first A - w have left. So a young crowd is compared
with the platform's viewers as they would be known at its age. A deviation counts only if it is also one from all
viewers.

A class that starts a film together is emitted in waves, and all views of a wave have the same watch time. So views of a
length are compared only if the crowd is at least as old as they last, and the window contains the crowd's beginning or
starts so late that the first viewers have left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from detectors.events.watch_buckets import LENGTHS_MS, WATCH_BINS, WATCH_FRACTIONS
from detectors.reference.mixes import WatchMix

ENDS_MS = (*LENGTHS_MS, 3_600_000)
"""Longest view of each length class."""
FRACTIONS = (*WATCH_FRACTIONS, 1.0)
"""Upper edge of each bin of the watched fraction."""


class EndedViews(WatchMix):
    """The mix of the platform's viewers, as it would be known of a young crowd."""

    whole: WatchMix = msgspec.field(default_factory=lambda: WatchMix(0))
    """mix of all viewers"""

    @classmethod
    def of(cls, whole: WatchMix, age_ms: int, span_ms: int) -> EndedViews:
        """The mix of ``whole`` as known of the last ``span_ms`` of a crowd that began ``age_ms`` ago."""
        known = {
            bucket: count * known_after(bucket, age_ms)
            for bucket, count in whole.counts.items()
            if is_known(bucket, age_ms, span_ms)
        }
        for first in range(0, whole.size, WATCH_BINS):
            buckets = range(first, first + WATCH_BINS)
            before, left = (math.fsum(counts.get(b, 0.0) for b in buckets) for counts in (whole.counts, known))
            for bucket in buckets:
                if bucket in known:
                    known[bucket] *= before / left if left > 0.0 else 0.0
        return cls(whole.size, known, whole.total, whole)

    def over(self, counts: dict[int, int]) -> dict[int, float]:
        """As ``WatchMix.over``, for buckets beyond both mixes: the smaller surplus."""
        whole, known = self.whole.over(counts), super().over(counts)
        return {bucket: min(beyond, known[bucket]) for bucket, beyond in whole.items() if bucket in known}

    def usual_share(self, counts: dict[int, int], buckets: Iterable[int]) -> float:
        """As ``WatchMix.usual_share``: the greater of both mixes."""
        buckets = tuple(buckets)
        return max(self.whole.usual_share(counts, buckets), super().usual_share(counts, buckets))


def is_known(bucket: int, age_ms: int, span_ms: int) -> bool:
    """Whether the viewers of a bucket are comparable in the last ``span_ms`` of a crowd of this age.

    >>> [is_known(8, age_ms, 300_000) for age_ms in (200_000, 300_000, 500_000, 600_000)]
    [False, True, False, True]
    """
    lasts = ENDS_MS[bucket // WATCH_BINS]
    return age_ms >= lasts and (age_ms <= span_ms or age_ms - span_ms >= lasts)


def known_after(bucket: int, age_ms: int) -> float:
    """Share of a bucket's viewers (``watch_bucket``) who have left, in a crowd that began ``age_ms`` ago.

    >>> known_after(0, 60_000) > 0.9, known_after(7, 60_000), known_after(7, 600_000) > 0.8
    (True, 0.0, True)
    """
    length, fraction = divmod(bucket, WATCH_BINS)
    return max(0.0, 1.0 - FRACTIONS[fraction] * ENDS_MS[length] / max(1, age_ms)) ** 2


def longest_view_ms(counts: Mapping[int, int]) -> int:
    """Longest view of the length class that most views of a target are of, by their watch buckets; 0 without any.

    >>> longest_view_ms({8: 3, 15: 4, 31: 6}), longest_view_ms({31: 6}), longest_view_ms({})
    (300000, 3600000, 0)
    """
    views = [0] * len(ENDS_MS)
    for bucket, count in counts.items():
        views[bucket // WATCH_BINS] += count
    return max(zip(views, ENDS_MS, strict=True))[1] if any(views) else 0
