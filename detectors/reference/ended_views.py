"""Views that are told when they end: what can be known of a crowd that has only just come.

A player knows how long it was watched when it was left. Where it tells then, a minute after the first of a hit only
those are known who left within a minute: every hit begins as a crowd that leaves early. Of people who come ever faster
for an age A, those who stay for w are known with probability (1 - w/A)² (arrivals in proportion to the time passed;
those who came in the first A - w of it have left). A crowd is compared with the platform's viewers as they would be
known then, and what is odd of it must be odd beside both, them and all of them.

A class that begins a film together is told of in waves, in each of which all have watched as long. Of a crowd that has
come for less than such views last nothing is said, nor of a part of it: a window holds its beginning, or begins so long
after it that whoever was there has left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from detectors.events.watch_buckets import LENGTHS_MS, WATCH_BINS, WATCH_FRACTIONS
from detectors.reference.mixes import WatchMix

ENDS_MS = (*LENGTHS_MS, 3_600_000)
"""How long views of each class of length may last."""
FRACTIONS = (*WATCH_FRACTIONS, 1.0)
"""Up to which fraction each bin was watched."""


class EndedViews(WatchMix):
    """The platform's viewers as they would be known of a crowd that has only just come."""

    whole: WatchMix = msgspec.field(default_factory=lambda: WatchMix(0))
    """all of them"""

    @classmethod
    def of(cls, whole: WatchMix, age_ms: int, span_ms: int) -> EndedViews:
        """The viewers of ``whole`` as they would be known of a crowd after ``age_ms``, of its last ``span_ms``."""
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
        """As ``WatchMix.over``: what is beyond both."""
        whole, known = self.whole.over(counts), super().over(counts)
        return {bucket: min(beyond, known[bucket]) for bucket, beyond in whole.items() if bucket in known}

    def usual_share(self, counts: dict[int, int], buckets: Iterable[int]) -> float:
        """As ``WatchMix.usual_share``: the greater one."""
        buckets = tuple(buckets)
        return max(self.whole.usual_share(counts, buckets), super().usual_share(counts, buckets))


def is_known(bucket: int, age_ms: int, span_ms: int) -> bool:
    """Whether a bucket's viewers are told of by a crowd of such an age, in the last ``span_ms`` of it.

    >>> [told_of(8, age_ms, 300_000) for age_ms in (200_000, 300_000, 500_000, 600_000)]
    [False, True, False, True]
    """
    lasts = ENDS_MS[bucket // WATCH_BINS]
    return age_ms >= lasts and (age_ms <= span_ms or age_ms - span_ms >= lasts)


def known_after(bucket: int, age_ms: int) -> float:
    """Part of the viewers of a bucket (``watch_bucket``) who have left, of people who come for ``age_ms``.

    >>> known_after(0, 60_000) > 0.9, known_after(7, 60_000), known_after(7, 600_000) > 0.8
    (True, 0.0, True)
    """
    length, fraction = divmod(bucket, WATCH_BINS)
    return max(0.0, 1.0 - FRACTIONS[fraction] * ENDS_MS[length] / max(1, age_ms)) ** 2
