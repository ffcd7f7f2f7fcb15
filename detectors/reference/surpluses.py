"""Surpluses of many windows at once: the buckets that have more people than the platform's mix accounts for.

The formulas are those of ``mixes``; a window by itself has the same surplus, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.events.buckets import NETWORK_BUCKETS
from detectors.events.watch_buckets import WATCH_BINS
from detectors.reference.mixes import (
    COHORT_FACTOR,
    MIX_MIN,
    NETWORK_FACTOR,
    SMOOTHING,
    CohortMix,
    Mix,
    NetworkMix,
    WatchMix,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BUCKET_BITS = 32
"""Bits of a bucket in the key of a histogram and a bucket."""
_BUCKET = (1 << BUCKET_BITS) - 1
SURPLUS_MIN = 0.5
"""Surplus in people below which a bucket is no concentration."""


@dataclass(frozen=True, slots=True)
class Histograms:
    """``number`` histograms: the count of each bucket of each one, sorted by histogram and bucket."""

    number: int
    place: Integers
    """which histogram"""
    bucket: Integers
    count: Integers

    def totals(self) -> Integers:
        """The sum of each histogram's counts."""
        return np.bincount(self.place, self.count, self.number).astype(np.int64)


def histograms(
    number: int, place: Integers, bucket: NDArray[np.integer[Any]], count: Integers | None = None
) -> Histograms:
    """Histograms of people or events, from the histogram and the bucket of each; a negative bucket is "not given"."""
    given = bucket >= 0
    keys = (place << BUCKET_BITS | bucket)[given]
    if count is None:
        keys.sort()
        first = np.empty(len(keys), np.bool_)
        first[:1] = True
        np.not_equal(keys[1:], keys[:-1], out=first[1:])
        starts = np.nonzero(first)[0]
        keys, count = keys[starts], np.diff(starts, append=len(keys))
    else:
        keys, inverse = np.unique(keys, return_inverse=True)
        count = np.bincount(inverse, count[given], len(keys)).astype(np.int64)
    return Histograms(number, keys >> BUCKET_BITS, keys & _BUCKET, count)


@dataclass(frozen=True, slots=True)
class Sums:
    """By histogram, the sum of its surpluses, and that without the largest one. Both are correctly rounded."""

    whole: Floats
    without_largest: Floats


def sums(number: int, place: Integers, surplus: Floats) -> Sums:
    """The sums of the surpluses of ``number`` histograms, from the histogram and the surplus of each bucket."""
    whole, without_largest = np.zeros(number), np.zeros(number)
    by_place: dict[int, list[float]] = {}
    for at, value in zip(place.tolist(), surplus.tolist(), strict=True):
        if value > 0.0:
            by_place.setdefault(at, []).append(value)
    for at, values in by_place.items():
        if len(values) > 1:
            values.sort()
            whole[at], without_largest[at] = fsum(values), fsum(values[:-1])
        else:
            whole[at] = values[0]
    return Sums(whole, without_largest)


def surpluses_by_dimension(mixes: Sequence[Mix], crowds: Histograms, totals: Integers) -> Sums:
    """The sums of surpluses of the histograms of several dimensions, all windows of a dimension one after the other.

    ``mixes`` are those of the dimensions; buckets of a ``CohortMix`` are cohorts. ``totals`` are those of ``crowds``.
    """
    several = np.nonzero(crowds.count > 1)[0]  # in most crowds most buckets have one
    if not len(several):
        return Sums(np.zeros(crowds.number), np.zeros(crowds.number))
    windows = crowds.number // len(mixes)
    scales = np.empty(crowds.number)
    for number, mix in enumerate(mixes):
        here = slice(number * windows, (number + 1) * windows)
        scales[here] = 0.0 if mix.total < MIX_MIN else totals[here] / (mix.total + SMOOTHING * mix.size)
    place, count = crowds.place[several], crowds.count[several]
    scale, buckets = scales[place], crowds.bucket[several].tolist()
    dimensions = (place // windows).tolist()
    usual = [mix.counts for mix in mixes]
    weights = np.array([usual[d].get(bucket, 0.0) for d, bucket in zip(dimensions, buckets, strict=True)])
    factors = np.array([FACTORS.get(type(mix), 1.0) for mix in mixes])[dimensions]
    for number, mix in enumerate(mixes):
        if isinstance(mix, NetworkMix):
            here = place // windows == number
            scale[here] = _scales_by_country(mix, crowds, (number, windows), several[here])
    found = beyond_chance(count, factors * (weights + SMOOTHING) * scale)
    found[(scale <= 0.0) | (found <= SURPLUS_MIN)] = 0.0
    return sums(crowds.number, place, found)


FACTORS: dict[type[Mix], float] = {NetworkMix: NETWORK_FACTOR, CohortMix: COHORT_FACTOR}


def _scales_by_country(mix: NetworkMix, crowds: Histograms, at: tuple[int, int], several: Integers) -> Floats:
    """The scales of buckets of networks: each country is compared with the platform's people there."""
    number, windows = at
    edges = np.searchsorted(crowds.place, (number * windows, (number + 1) * windows))
    here = slice(*edges.tolist())
    pairs, pair = np.unique(
        crowds.place[here] << BUCKET_BITS | crowds.bucket[here] // NETWORK_BUCKETS, return_inverse=True
    )
    people = np.bincount(pair, crowds.count[here], len(pairs))
    get = mix.countries.get
    totals = np.array([get(country, 0.0) for country in (pairs & _BUCKET).tolist()])
    scales: Floats = np.where(totals >= MIX_MIN, people / (totals + SMOOTHING * NETWORK_BUCKETS), 0.0)
    return np.asarray(scales[pair[several - edges[0]]], np.float64)


def beyond_chance(count: Integers, expected: Floats) -> Floats:
    """See mixes.beyond_chance."""
    return count - expected - 2.0 * np.sqrt(expected)


def watch_surpluses(mix: WatchMix, watched: Histograms) -> Sums:
    """The sums of surpluses of histograms of watch times; see WatchMix.

    There is no surplus in the last bin of a length; in the one before it there is at most what the last one lacks.
    """
    several = np.nonzero((watched.count > 1) & (watched.bucket % WATCH_BINS < WATCH_BINS - 1))[0]
    if not len(several):
        return Sums(np.zeros(watched.number), np.zeros(watched.number))
    lengths, get = mix.size // WATCH_BINS, mix.counts.get
    totals = np.array([_usual_of_length(mix, length) for length in range(lengths)])
    pair = watched.place * lengths + watched.bucket // WATCH_BINS
    people = np.bincount(pair, watched.count, watched.number * lengths)
    scales = np.where(totals >= MIX_MIN, people.reshape(-1, lengths) / (totals + SMOOTHING * WATCH_BINS), 0.0).ravel()
    bucket, count, scale = watched.bucket[several], watched.count[several], scales[pair[several]]
    weights = np.array([get(number, 0.0) for number in bucket.tolist()])
    found = beyond_chance(count, (weights + SMOOTHING) * scale)
    found[(scale <= 0.0) | (found <= SURPLUS_MIN)] = 0.0
    almost = np.nonzero((bucket % WATCH_BINS == WATCH_BINS - 2) & (found > 0.0))[0]
    if len(almost):
        to_the_end = np.zeros(len(people))
        last = watched.bucket % WATCH_BINS == WATCH_BINS - 1
        to_the_end[pair[last]] = watched.count[last]
        ends = np.array([get(number + 1, 0.0) for number in bucket[almost].tolist()])
        missing = (ends + SMOOTHING) * scale[almost] - to_the_end[pair[several[almost]]]
        found[almost] = np.where(missing > 0.0, np.minimum(found[almost], missing), 0.0)
    return sums(watched.number, watched.place[several], found)


def _usual_of_length(mix: WatchMix, length: int) -> float:
    first = length * WATCH_BINS
    return float(sum(mix.counts[b] for b in range(first, first + WATCH_BINS) if b in mix.counts))
