"""The platform's crowd, as one task learns it from its own targets, and the actors it has met before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from detectors.events.buckets import COHORT_BUCKETS, MIX_BUCKETS, NETWORK_BUCKETS
from detectors.events.watch_buckets import WATCH_BINS
from detectors.reference.known_actors import KNOWN_HASHES
from detectors.windows.crowd import HASH_SPACE

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
        weight = _weight(n)
        weights = self.counts
        get = weights.get
        for bucket, count in counts.items():
            weights[bucket] = get(bucket, 0.0) + count * weight
        self.total += n * weight
        if self.total > FORGET_AT:
            self.counts = {bucket: count / 2 for bucket, count in weights.items() if count > 0.05}
            self.total = math.fsum(self.counts.values())

    def learn_each(self, buckets: tuple[int, ...]) -> None:
        """Add the buckets of a window so small that its weight needs no cap; -1 is none."""
        weights = self.counts
        get = weights.get
        for bucket in buckets:
            if bucket >= 0:
                weights[bucket] = get(bucket, 0.0) + 1.0
                self.total += 1.0

    def dump(self) -> list[Any]:
        """State as builtins."""
        return [self.counts, self.total]

    def load(self, state: list[Any]) -> None:
        """Take dumped state."""
        self.counts, self.total = dict(state[0]), state[1]

    def excess(self, counts: dict[int, int]) -> float:
        """Share of a crowd, 0 … 1, that the platform's mix does not account for.

        Σ max(0, n_b - e_b - 2√e_b) / n over the buckets, e_b expected of n events: the total variation
        distance less what chance alone would give; an event alone in its bucket is no concentration. 0.0 while the mix
        is unknown.
        """
        return math.fsum(self.surpluses(counts)) / sum(counts.values())

    def surpluses(self, counts: dict[int, int]) -> list[float]:
        """How far each bucket that exceeds its expectation does so, in the counts' unit; their order means nothing."""
        return list(self.over(counts).values())

    def over(self, counts: dict[int, int]) -> dict[int, float]:
        """The buckets that exceed their expectation, and how far each does."""
        if self.total < MIX_MIN:
            return {}
        return _over(counts, self.counts, sum(counts.values()) / (self.total + SMOOTHING * self.size))

    def usual_share(self, counts: dict[int, int], buckets: Iterable[int]) -> float:
        """Share of a crowd, 0 … 1, that would be in these buckets if it were the platform's; 1.0 if unknown."""
        if self.total < MIX_MIN:
            return 1.0
        usual = self.counts
        weight = math.fsum(usual.get(bucket, 0.0) + SMOOTHING for bucket in buckets)
        return weight / (self.total + SMOOTHING * self.size)


def _weight(n: int) -> float:
    """What each of a window's ``n`` events counts."""
    return min(1.0, WEIGHT_CAP / n)


def beyond_chance(count: float, expected: float) -> float:
    """How far a count exceeds its expectation and two standard errors of it; below 0 if it does not."""
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
    """The mix of watch times, each class of length by itself: a target has one length, the platform has all.

    Whoever watches to the end is the best viewer there is: a crowd in the last bin is no evidence. One in the bin
    before it is odd as far as it is missing from the last, not when more stay almost to the end than usual.
    """

    def over(self, counts: dict[int, int]) -> dict[int, float]:
        """As ``Mix.over``, each class compared with the platform's viewers of that class."""
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
"""Days on which many joined, and platforms that grow, may honestly show four times their share."""


class NetworkMix(Mix):
    """The mix of networks, each country's by itself: a crowd of one country comes by that country's networks."""

    countries: dict[int, float] = {}
    """total of each country: a platform has tens of thousands of networks, too many to add up for every window"""

    def learn(self, counts: dict[int, int]) -> None:
        """See Mix."""
        before = self.counts
        super().learn(counts)
        if self.counts is not before:  # halved
            self.countries = by_country(self.counts)
            return
        weight = _weight(sum(counts.values()))
        totals = self.countries
        for bucket, count in counts.items():
            country = bucket // NETWORK_BUCKETS
            totals[country] = totals.get(country, 0.0) + count * weight

    def learn_each(self, buckets: tuple[int, ...]) -> None:
        """See Mix."""
        super().learn_each(buckets)
        totals = self.countries
        for bucket in buckets:
            if bucket >= 0:
                country = bucket // NETWORK_BUCKETS
                totals[country] = totals.get(country, 0.0) + 1.0

    def over(self, counts: dict[int, int]) -> dict[int, float]:
        """As ``Mix.over``, each country compared with the platform's people there; one unknown says nothing.

        Nor do networks of people whose country was not given: any audience of one country would look concentrated.
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
    """The buckets of networks whose country was given (``events.network_bucket``).

    >>> in_countries({7: 3, 1031: 2})
    {1031: 2}
    """
    return {bucket: count for bucket, count in networks.items() if bucket >= NETWORK_BUCKETS}


def by_country(counts: Mapping[int, float]) -> dict[int, float]:
    """The networks' weights added up for each country."""
    totals: dict[int, float] = {}
    for bucket, weight in counts.items():
        country = bucket // NETWORK_BUCKETS
        totals[country] = totals.get(country, 0.0) + weight
    return totals


class CohortMix(Mix):
    """The mix of the days in which accounts were made, of account buckets (events.account_bucket)."""

    def learn(self, counts: dict[int, int]) -> None:
        """See Mix."""
        super().learn(_cohorts(counts))

    def learn_each(self, buckets: tuple[int, ...]) -> None:
        """See Mix."""
        super().learn_each(tuple(bucket >> 1 if bucket >= 0 else -1 for bucket in buckets))

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
