"""The platform's crowd, as one task learns it from its own targets, and the actors it has met before."""

from __future__ import annotations

import math

import msgspec

from detectors.events import MIX_BUCKETS, NETWORK_BUCKETS
from detectors.windows import HASH_SPACE, Crowd

WEIGHT_CAP = 20.0
"""What one window of one target may add to the mix, in events: no hit, and no attack, becomes the
yardstick it is measured by."""

FORGET_AT = 50_000.0
"""At this total the histogram is halved: the mix follows the platform over days."""

SMOOTHING = 0.5
"""Pseudo-events per bucket (Jeffreys)."""

MIX_MIN = 200.0
"""Events under which a mix is unknown and no crowd deviates from it."""


class Mix(msgspec.Struct, array_like=True):
    """Shares of one dimension's buckets over the platform."""

    size: int
    counts: dict[int, float] = {}
    total: float = 0.0

    def learn(self, counts: dict[int, int]) -> None:
        """Add one window's histogram, its weight capped."""
        n = sum(counts.values())
        weight = min(1.0, WEIGHT_CAP / n)
        mine = self.counts
        get = mine.get
        for bucket, count in counts.items():
            mine[bucket] = get(bucket, 0.0) + count * weight
        self.total += n * weight
        if self.total > FORGET_AT:
            self.counts = {bucket: count / 2 for bucket, count in mine.items() if count > 0.05}
            self.total = math.fsum(self.counts.values())

    def learn_each(self, buckets: tuple[int, ...]) -> None:
        """Add the buckets of a window so small that its weight needs no cap; -1 is none."""
        mine = self.counts
        get = mine.get
        for bucket in buckets:
            if bucket >= 0:
                mine[bucket] = get(bucket, 0.0) + 1.0
                self.total += 1.0

    def excess(self, counts: dict[int, int]) -> float:
        """Share of a crowd, 0 … 1, that the platform's mix does not account for.

        Σ max(0, n_b - e_b - 2√e_b) / n over the buckets, e_b expected of n events: the total variation
        distance less what chance alone would give; an event alone in its bucket is no concentration. 0.0 while the mix
        is unknown.
        """
        if self.total < MIX_MIN:
            return 0.0
        n = sum(counts.values())
        scale = n / (self.total + SMOOTHING * self.size)
        get = self.counts.get
        over = []
        for bucket, count in counts.items():
            expected = (get(bucket, 0.0) + SMOOTHING) * scale
            surplus = count - expected - 2.0 * expected**0.5
            if count > 1 and surplus > 0.5:
                over.append(surplus)
        return math.fsum(over) / n  # fsum: the order in which the crowd came must not show


WATCH_BINS = 8
"""Bins of the watched fraction, for each of the four classes of length (features.watch_bucket)."""

KNOWN_BITS = 1 << 18
KNOWN_HASHES = 3
_BIT = KNOWN_BITS - 1
KNOWN_FILL = 60_000
"""Actors in one generation: at 60,000 of 2¹⁸ bits and 3 hashes the filter errs in 12 % of look-ups at most,
equally for every crowd."""


class KnownActors:
    """Have we met this actor? Two generations of a Bloom filter; the older is dropped when the newer is full."""

    __slots__ = ("filled", "newer", "older")

    def __init__(self) -> None:
        self.newer = bytearray(KNOWN_BITS // 8)
        self.older = bytearray(KNOWN_BITS // 8)
        self.filled = 0

    def add(self, actor: int) -> None:
        """Remember an actor's hash."""
        bits = self.newer
        fresh = False
        for shift in range(KNOWN_HASHES):
            bit = (actor >> (18 * shift)) & (KNOWN_BITS - 1)
            mask = 1 << (bit & 7)
            if not bits[bit >> 3] & mask:
                bits[bit >> 3] |= mask
                fresh = True
        if fresh:
            self.filled += 1
            if self.filled >= KNOWN_FILL:
                self.older, self.newer, self.filled = bits, bytearray(KNOWN_BITS // 8), 0

    def __contains__(self, actor: int) -> bool:
        """True if met in the last one to two generations (or, rarely, by collision)."""
        first, second, third = actor & _BIT, actor >> 18 & _BIT, actor >> 36 & _BIT
        for bits in (self.newer, self.older):
            if (
                bits[first >> 3] >> (first & 7) & 1
                and bits[second >> 3] >> (second & 7) & 1
                and bits[third >> 3] >> (third & 7) & 1
            ):
                return True
        return False

    def unmet(self, crowd: Crowd) -> int:
        """Number of the crowd's sampled actors that have not been met before."""
        return sum(1 for actor in crowd.actor_hashes() if actor not in self)

    def strangers(self, crowd: Crowd) -> float:
        """Their share, 0 … 1."""
        return self.unmet(crowd) / len(crowd.actor_hashes())


assert HASH_SPACE >> (18 * KNOWN_HASHES) > 0, "an actor hash must have bits for every Bloom hash"


class WatchMix(Mix):
    """The mix of watch times, each class of length by itself: a target has one length, the platform has all."""

    def excess(self, counts: dict[int, int]) -> float:
        """As ``Mix.excess``, each class compared with the platform's viewers of that class."""
        n = sum(counts.values())
        over = 0.0
        for first in range(0, self.size, WATCH_BINS):
            bins = range(first, first + WATCH_BINS)
            here = {b: counts[b] for b in bins if b in counts}
            usual = {b: self.counts[b] for b in bins if b in self.counts}
            total = sum(usual.values())
            if here and total >= MIX_MIN:
                over += Mix(WATCH_BINS, usual, total).excess(here) * sum(here.values())
        return over / n


def platform_mixes() -> dict[str, Mix]:
    """The mixes of one metric, by dimension."""
    return {
        "network": Mix(NETWORK_BUCKETS),
        "agent": Mix(MIX_BUCKETS),
        "referrer": Mix(MIX_BUCKETS),
        "country": Mix(MIX_BUCKETS),
        "watch": WatchMix(4 * WATCH_BINS),
    }
