"""Surpluses of many windows at once: the buckets that have more people than the platform's mix accounts for.

The formulas are those of ``mixes``; a window by itself has the same surplus, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from detectors.events.buckets import NETWORK_BUCKETS
from detectors.events.watch_buckets import WATCH_BINS
from detectors.reference.mixes import COHORT_FACTOR, MIX_MIN, NETWORK_FACTOR, SMOOTHING, Mix, NetworkMix, WatchMix

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

BUCKET_BITS = 32
"""Bits of a bucket in the key of a window and a bucket."""
SURPLUS_MIN = 0.5
"""Surplus in people below which a bucket is no concentration."""


@dataclass(frozen=True, slots=True)
class Histograms:
    """Histograms of ``windows`` windows: the count of each window's buckets, sorted by window and bucket."""

    windows: int
    window: Places
    bucket: NDArray[np.int64]
    count: NDArray[np.int64]

    def totals(self) -> NDArray[np.int64]:
        """The sum of each window's counts."""
        return np.bincount(self.window, self.count, self.windows).astype(np.int64)

    def beyond(self, usual: Mapping[int, float], scale: Floats, factor: float = 1.0) -> Floats:
        """The surplus of each row, 0 without one. ``scale`` is the expectation of each row for a usual weight of 1."""
        surplus = np.zeros(len(self.count))
        several = np.nonzero((self.count > 1) & (scale > 0.0))[0]  # in most crowds most buckets have one
        if len(several):
            get = usual.get
            weights = np.array([get(bucket, 0.0) for bucket in self.bucket[several].tolist()])
            found = beyond_chance(self.count[several], factor * (weights + SMOOTHING) * scale[several])
            surplus[several] = np.where(found > SURPLUS_MIN, found, 0.0)
        return surplus


def histograms(
    windows: int, window: Places, bucket: NDArray[np.integer], count: NDArray[np.int64] | None = None
) -> Histograms:
    """The histograms of windows, from the bucket of each person or event; a negative bucket is "not given"."""
    given = bucket >= 0
    if not given.all():
        window, bucket = window[given], bucket[given]
        count = None if count is None else count[given]
    keys = window.astype(np.int64) << BUCKET_BITS | bucket
    if count is None:
        keys, count = np.unique(keys, return_counts=True)
    else:
        keys, inverse = np.unique(keys, return_inverse=True)
        count = np.bincount(inverse, count, len(keys)).astype(np.int64)
    return Histograms(windows, keys >> BUCKET_BITS, keys & (1 << BUCKET_BITS) - 1, count)


def beyond_chance(count: NDArray[np.int64], expected: Floats) -> Floats:
    """See mixes.beyond_chance."""
    return count - expected - 2.0 * np.sqrt(expected)


def surpluses(mix: Mix, crowd: Histograms) -> Floats:
    """The surplus of each row of the histograms by a mix of this kind."""
    if isinstance(mix, NetworkMix):
        return _by_country(mix, crowd)
    if isinstance(mix, WatchMix):
        return _by_length(mix, crowd)
    if mix.total < MIX_MIN:
        return np.zeros(len(crowd.count))
    scale = crowd.totals() / (mix.total + SMOOTHING * mix.size)
    return crowd.beyond(mix.counts, scale[crowd.window])


def cohort_surpluses(mix: Mix, cohorts: Histograms) -> Floats:
    """As ``surpluses`` for histograms of cohorts (``CohortMix``)."""
    if mix.total < MIX_MIN:
        return np.zeros(len(cohorts.count))
    scale = cohorts.totals() / (mix.total + SMOOTHING * mix.size)
    return cohorts.beyond(mix.counts, scale[cohorts.window], COHORT_FACTOR)


def _by_country(mix: NetworkMix, networks: Histograms) -> Floats:
    country = networks.bucket // NETWORK_BUCKETS
    several = networks.count > 1
    scale = np.zeros(len(country))
    if not several.any():
        return scale
    keys = networks.window.astype(np.int64) << BUCKET_BITS | country
    pairs, pair = np.unique(keys, return_inverse=True)
    people = np.bincount(pair, networks.count, len(pairs))
    get = mix.countries.get
    totals = np.array([get(number, 0.0) for number in (pairs & (1 << BUCKET_BITS) - 1).tolist()])
    scales = np.where(totals >= MIX_MIN, people / (totals + SMOOTHING * NETWORK_BUCKETS), 0.0)
    return networks.beyond(mix.counts, scales[pair], NETWORK_FACTOR)


def _by_length(mix: WatchMix, watched: Histograms) -> Floats:
    """See WatchMix: no surplus in the last bin; in the one before it at most what the last one lacks."""
    length, bin_ = watched.bucket // WATCH_BINS, watched.bucket % WATCH_BINS
    lengths = mix.size // WATCH_BINS
    usual = [sum(mix.counts.get(b, 0.0) for b in _buckets(mix, first)) for first in range(lengths)]
    totals = np.array(usual)
    pair = watched.window * lengths + length
    people = np.bincount(pair, watched.count, watched.windows * lengths)
    scales = np.where(totals >= MIX_MIN, people.reshape(-1, lengths) / (totals + SMOOTHING * WATCH_BINS), 0.0).ravel()
    surplus = watched.beyond(mix.counts, scales[pair])
    last = bin_ == WATCH_BINS - 1
    surplus[last] = 0.0
    almost = np.nonzero((bin_ == WATCH_BINS - 2) & (surplus > 0.0))[0]
    if len(almost):
        to_the_end = np.zeros(len(people))
        to_the_end[pair[last]] = watched.count[last]
        ends = [mix.counts.get(bucket + 1, 0.0) for bucket in watched.bucket[almost].tolist()]
        missing = (np.array(ends) + SMOOTHING) * scales[pair[almost]] - to_the_end[pair[almost]]
        surplus[almost] = np.where(missing > 0.0, np.minimum(surplus[almost], missing), 0.0)
    return surplus


def _buckets(mix: WatchMix, length: int) -> list[int]:
    first = length * WATCH_BINS
    return [bucket for bucket in range(first, first + WATCH_BINS) if bucket in mix.counts]


def sums(windows: int, window: Places, surplus: Floats) -> tuple[Floats, Floats]:
    """The sum of each window's surpluses, and the sum without the largest. Both are correctly rounded."""
    found = np.nonzero(surplus)[0]
    whole, without_largest = np.zeros(windows), np.zeros(windows)
    by_window: dict[int, list[float]] = {}
    for place, value in zip(window[found].tolist(), surplus[found].tolist(), strict=True):
        by_window.setdefault(place, []).append(value)
    for place, values in by_window.items():
        values.sort()
        whole[place], without_largest[place] = fsum(values), fsum(values[:-1])
    return whole, without_largest
