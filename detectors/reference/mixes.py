"""Mixes: the platform's shares of networks, agents, countries, … as one task learns them from its targets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.events.buckets import COHORT_BUCKETS, MIX_BUCKETS, NETWORK_BUCKETS
from detectors.events.watch_buckets import WATCH_BINS
from detectors.reference.known_actors import KNOWN_HASHES
from detectors.windows.crowd import HASH_SPACE

WEIGHT_CAP = 20.0
"""Most events that one window of one target adds to the mix: neither a hit nor an attack may set its own baseline."""

FORGET_AT = 50_000.0
"""Total at which the histogram is halved: the mix follows the platform over days."""

SMOOTHING = 0.5
"""Pseudo-events per bucket (Jeffreys)."""

MIX_MIN = 200.0
"""Events below which a mix is unknown and no crowd deviates from it."""


FEW_PEOPLE = 48
"""Number of people up to which dicts are faster than arrays (measured)."""

Weights = NDArray[np.float64]


class Mix(msgspec.Struct, array_like=True):
    """Shares of one dimension's buckets over the platform."""

    size: int
    counts: dict[int, float] = {}
    total: float = 0.0

    def learn(self, buckets: NDArray[np.integer[Any]], weights: Weights) -> None:
        """Add people of unflagged windows: the bucket and the weight of each (``weights_of``)."""
        counts, added = self.counts, summed(buckets, weights)
        get = counts.get
        for bucket, weight in added.items():
            counts[bucket] = get(bucket, 0.0) + weight
        self.total += math.fsum(added.values())
        while self.total > FORGET_AT:
            self.counts = {bucket: count / 2 for bucket, count in self.counts.items() if count > 0.05}
            self.total = math.fsum(self.counts.values())

    def dump(self) -> list[Any]:
        """State as builtins."""
        return [self.counts, self.total]

    def load(self, state: list[Any]) -> None:
        """Load dumped state."""
        self.counts, self.total = dict(state[0]), state[1]

    def excess(self, counts: dict[int, int]) -> float:
        """Share of a crowd, 0 … 1, that the platform's mix does not account for.

        Σ max(0, n_b - e_b - 2√e_b) / n over the buckets, where e_b is expected of n events: the total variation
        distance minus the part due to chance. A single event in a bucket is no concentration. 0.0 while the mix is
        unknown.
        """
        return math.fsum(self.surpluses(counts)) / sum(counts.values())

    def surpluses(self, counts: dict[int, int]) -> list[float]:
        """The surplus of each bucket that exceeds its expectation, in the counts' unit, in no particular order."""
        return list(self.over(counts).values())

    def over(self, counts: dict[int, int]) -> dict[int, float]:
        """Bucket → surplus, for the buckets that exceed their expectation."""
        if self.total < MIX_MIN:
            return {}
        return _over(counts, self.counts, sum(counts.values()) / (self.total + SMOOTHING * self.size))

    def usual_share(self, counts: dict[int, int], buckets: Iterable[int]) -> float:
        """Share of an honest crowd, 0 … 1, that is expected in these buckets; 1.0 if unknown."""
        if self.total < MIX_MIN:
            return 1.0
        usual = self.counts
        weight = math.fsum(usual.get(bucket, 0.0) + SMOOTHING for bucket in buckets)
        return weight / (self.total + SMOOTHING * self.size)


def weights_of(windows: NDArray[np.intp], counts: NDArray[np.int64] | None = None) -> Weights:
    """The weight of each person, from the window of each; ``counts`` is how often each counts. Windows are capped.

    >>> weights_of(np.array([0, 0, 1])).tolist(), weights_of(np.array([0, 1]), np.array([80, 4])).tolist()
    ([1.0, 1.0, 1.0], [20.0, 4.0])
    """
    totals = np.bincount(windows, counts)
    weights: Weights = np.minimum(1.0, WEIGHT_CAP / np.maximum(totals, 1.0))[windows]
    return weights if counts is None else weights * counts


def summed(buckets: NDArray[np.integer[Any]], weights: Weights) -> dict[int, float]:
    """The sum of the weights of each bucket, in the order of the buckets, each summed from the first row to the last.

    >>> summed(np.array([7, 3, 7]), np.array([1.0, 0.5, 2.0]))
    {3: 0.5, 7: 3.0}
    """
    if len(buckets) <= FEW_PEOPLE:
        sums: dict[int, float] = {}
        for bucket, weight in zip(buckets.tolist(), weights.tolist(), strict=True):
            sums[bucket] = sums.get(bucket, 0.0) + weight
        return dict(sorted(sums.items()))
    found, places = np.unique(buckets, return_inverse=True)
    return dict(zip(found.tolist(), np.bincount(places, weights, len(found)).tolist(), strict=True))


def beyond_chance(count: float, expected: float) -> float:
    """A count minus its expectation and two standard errors; negative if the count is within them."""
    return count - expected - 2.0 * math.sqrt(expected)


def _over(counts: Mapping[int, int], usual: Mapping[int, float], scale: float, factor: float = 1.0) -> dict[int, float]:
    get = usual.get
    over = {}
    for bucket, count in counts.items():
        if count > 1:  # in most crowds most buckets have one
            expected = factor * (get(bucket, 0.0) + SMOOTHING) * scale
            surplus = beyond_chance(count, expected)
            if surplus > 0.5:
                over[bucket] = surplus
    return over


assert HASH_SPACE >> (18 * KNOWN_HASHES) > 0, "an actor hash must have bits for every Bloom hash"


class WatchMix(Mix):
    """The mix of watch times, each length class by itself: a target has one length, the platform has all.

    Watching to the end is no evidence of fraud, so a surplus in the last bin is ignored. A surplus in the bin before it
    counts only as far as the last bin has fewer viewers than expected.
    """

    def over(self, counts: dict[int, int]) -> dict[int, float]:
        """As ``Mix.over``, each length class compared with the platform's viewers of that class."""
        over: dict[int, float] = {}
        for first in range(0, self.size, WATCH_BINS):
            here = {b: counts[b] for b in range(first, first + WATCH_BINS) if b in counts}
            usual = {b: self.counts[b] for b in range(first, first + WATCH_BINS) if b in self.counts}
            total = sum(usual.values())
            if here and total >= MIX_MIN:
                scale = sum(here.values()) / (total + SMOOTHING * WATCH_BINS)
                last = first + WATCH_BINS - 1
                to_the_end = here.pop(last, 0)
                odd = _over(here, usual, scale)
                almost = odd.pop(last - 1, 0.0)
                missing = (usual.get(last, 0.0) + SMOOTHING) * scale - to_the_end
                if almost > 0.0 and missing > 0.0:
                    odd[last - 1] = min(almost, missing)
                over |= odd
        return over

    def usual_share(self, counts: dict[int, int], buckets: Iterable[int]) -> float:
        """See Mix."""
        usual = [0.0] * (self.size // WATCH_BINS)
        people = [0] * len(usual)
        for bucket, weight in self.counts.items():
            usual[bucket // WATCH_BINS] += weight
        for bucket, count in counts.items():
            people[bucket // WATCH_BINS] += count
        shares = [here / (total + SMOOTHING * WATCH_BINS) for here, total in zip(people, usual, strict=True)]
        weights = (
            (self.counts.get(bucket, 0.0) + SMOOTHING) * shares[bucket // WATCH_BINS]
            for bucket in buckets
            if usual[bucket // WATCH_BINS] >= MIX_MIN
        )
        return math.fsum(weights) / max(1, sum(people))


NETWORK_FACTOR = 4.0
"""A network may honestly send four times its share: people are at work, on the road, in one carrier's towns."""
COHORT_FACTOR = 4.0
"""A cohort may honestly be at four times its share: on some days many people join, and platforms grow."""


class NetworkMix(Mix):
    """The mix of networks, each country by itself: a crowd of one country uses that country's networks."""

    countries: dict[int, float] = {}
    """total of each country: tens of thousands of networks are too many to sum for every window"""

    def learn(self, buckets: NDArray[np.integer[Any]], weights: Weights) -> None:
        """See Mix."""
        before = self.counts
        super().learn(buckets, weights)
        if self.counts is not before:  # halved
            self.countries = by_country(self.counts)
            return
        totals = self.countries
        for country, weight in summed(buckets // NETWORK_BUCKETS, weights).items():
            totals[country] = totals.get(country, 0.0) + weight

    def over(self, counts: dict[int, int]) -> dict[int, float]:
        """As ``Mix.over``, each country compared with the platform's people there.

        Countries with too few people are left out. So are networks without a country: compared with the whole platform,
        any audience of one country would seem concentrated.
        """
        people: dict[int, int] = {}
        several: dict[int, dict[int, int]] = {}
        for bucket, count in in_countries(counts).items():
            country = bucket // NETWORK_BUCKETS
            people[country] = people.get(country, 0) + count
            if count > 1:
                several.setdefault(country, {})[bucket] = count
        over: dict[int, float] = {}
        for country, here in several.items():
            total = self.countries.get(country, 0.0)
            if total >= MIX_MIN:
                scale = people[country] / (total + SMOOTHING * NETWORK_BUCKETS)
                over |= _over(here, self.counts, scale, NETWORK_FACTOR)
        return over

    def usual_share(self, counts: dict[int, int], buckets: Iterable[int]) -> float:
        """See Mix."""
        people = by_country(counts)
        weights = (
            (self.counts.get(bucket, 0.0) + SMOOTHING) * people[country] / (total + SMOOTHING * NETWORK_BUCKETS)
            for bucket in buckets
            if (country := bucket // NETWORK_BUCKETS) in people
            and (total := self.countries.get(country, 0.0)) >= MIX_MIN
        )
        return math.fsum(weights) / max(1, sum(people.values()))

    def dump(self) -> list[Any]:
        """See Mix."""
        return [self.counts, self.total, self.countries]

    def load(self, state: list[Any]) -> None:
        """See Mix."""
        super().load(state)
        self.countries = dict(state[2])


def in_countries(networks: Mapping[int, int]) -> dict[int, int]:
    """The buckets of networks whose country is known (``events.network_bucket``).

    >>> in_countries({7: 3, 1031: 2})
    {1031: 2}
    """
    return {bucket: count for bucket, count in networks.items() if bucket >= NETWORK_BUCKETS}


def by_country(counts: Mapping[int, float]) -> dict[int, float]:
    """The sum of the networks' weights for each country."""
    totals: dict[int, float] = {}
    for bucket, weight in counts.items():
        country = bucket // NETWORK_BUCKETS
        totals[country] = totals.get(country, 0.0) + weight
    return totals


class CohortMix(Mix):
    """The mix of cohorts (days of account creation), learned from account buckets (events.account_bucket)."""

    def learn(self, buckets: NDArray[np.integer[Any]], weights: Weights) -> None:
        """See Mix."""
        super().learn(buckets >> 1, weights)

    def over(self, counts: dict[int, int]) -> dict[int, float]:
        """As ``Mix.over``, with COHORT_FACTOR."""
        if self.total < MIX_MIN:
            return {}
        scale = sum(counts.values()) / (self.total + SMOOTHING * self.size)
        return _over(_cohorts(counts), self.counts, scale, COHORT_FACTOR)


def _cohorts(accounts: dict[int, int]) -> dict[int, int]:
    cohorts: dict[int, int] = {}
    for bucket, count in accounts.items():
        cohorts[bucket >> 1] = cohorts.get(bucket >> 1, 0) + count
    return cohorts


def platform_mixes() -> dict[str, Mix]:
    """The mixes of one metric, by dimension."""
    return {
        "network": NetworkMix(NETWORK_BUCKETS),
        "agent": Mix(MIX_BUCKETS),
        "referrer": Mix(MIX_BUCKETS),
        "country": Mix(MIX_BUCKETS),
        "account": CohortMix(COHORT_BUCKETS),
        "watch": WatchMix(4 * WATCH_BINS),
    }
