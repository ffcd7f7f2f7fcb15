"""A simulated platform: its targets, its people, and its honest background traffic, which must not be flagged.

Targets have heavy-tailed popularity and an audience each (country, referrers, length). There are returning people and
one-time guests, likes and follows some time after views, daily and weekly rhythms, hours noisier than Poisson, and
small honest hits. Events are generated lazily, in order of time, and depend only on the seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import NamedTuple

import numpy as np

from detectors.events.event import Event
from detectors.lab.traffic.agents import agent_mix
from detectors.lab.traffic.population import COUNTRIES, Floats, Ints, Population, populate
from detectors.lab.traffic.stream import DIRECT_SHARE, EXTERNAL_HOSTS, INTERNAL_SHARE, Stream

ZIPF_EXPONENT = 0.95
ZIPF_OFFSET = 4.0
"""Popularity of the target at rank k is (k + offset)^-exponent: flat for the first ranks, as in real catalogues."""

INTERNAL_PAGES = ("https://stream.example/", "https://stream.example/search", "https://stream.example/feed")
"""The platform's front page, search and feed: referrers with the indexes 1 … 3."""

LENGTHS: tuple[tuple[float, float, float, float, float], ...] = (
    (0.35, 15_000, 60_000, 0.15, 0.55),
    (0.30, 60_000, 300_000, 0.25, 0.40),
    (0.25, 300_000, 1_200_000, 0.32, 0.22),
    (0.10, 1_200_000, 5_400_000, 0.35, 0.12),
)
"""Classes of length: share of targets, least and greatest length in ms, share of views that end at once, share of views
to the end."""


class Labelled(NamedTuple):
    """An event and its label: the scenario that made it ("" is the background), and whether it is artificial."""

    event: Event
    scenario: str = ""
    artificial: bool = False


class Platform:
    """A platform with ``targets``, ``actors``, and a mean of ``views_per_day``; likes and follows are additional."""

    def __init__(
        self, seed: int, *, targets: int = 2000, actors: int = 30_000, views_per_day: float = 500_000.0
    ) -> None:
        rng = np.random.default_rng([seed, 1])
        self.seed = seed
        self.views_per_day = views_per_day
        self.people: Population = populate(rng, actors, *agent_mix(rng))
        ranks = rng.permutation(targets)
        weight = (ranks + ZIPF_OFFSET) ** -ZIPF_EXPONENT
        self.popularity: Floats = np.asarray(weight / weight.sum(), dtype=np.float64)
        """share of the views, by target"""
        weights = np.array([share for _, share, _ in COUNTRIES])
        self.home: Ints = rng.choice(len(COUNTRIES), targets, p=weights / weights.sum()).astype(np.int64)
        self.tilt: Floats = rng.beta(1.6, 1.6, targets)
        """share of a target's views that prefer its home country"""
        self.appeal: Floats = rng.gamma(6.0, 1 / 6.0, targets)
        """likes and follows per view, relative to the platform"""
        self.favourite: Ints = rng.integers(4, 4 + EXTERNAL_HOSTS, targets)
        self.external: Floats = rng.beta(2.0, 6.0, targets)
        """share of a target's referred views that are from its favourite host"""
        lengths = np.array(LENGTHS)
        self.length_class: Ints = rng.choice(len(LENGTHS), targets, p=lengths[:, 0]).astype(np.int64)
        low, high = lengths[self.length_class, 1], lengths[self.length_class, 2]
        self.duration_ms: Ints = np.exp(rng.uniform(np.log(low), np.log(high))).astype(np.int64)
        self.names = [f"t{index:05d}" for index in range(targets)]
        self.owners = [f"c{int(owner):04d}" for owner in rng.integers(0, max(1, targets // 5), targets)]
        self.referrers: list[str | None] = [None, *INTERNAL_PAGES]
        self.referrers += [f"https://site{host:03d}.example/page" for host in range(EXTERNAL_HOSTS)]
        hosts = (np.arange(EXTERNAL_HOSTS) + 2.0) ** -1.1
        shares = [
            DIRECT_SHARE,
            *([INTERNAL_SHARE / 3] * 3),
            *(hosts / hosts.sum() * (1 - DIRECT_SHARE - INTERNAL_SHARE)),
        ]
        self.referrer_sums: Floats = np.cumsum(shares)

    # ---------------------------------------------------------------- for scenarios

    def ranked(self) -> Ints:
        """Targets, the most popular first."""
        return np.argsort(-self.popularity, kind="stable")

    def referrer(self, rng: np.random.Generator) -> str | None:
        """One referrer of the platform's mix."""
        place = int(np.searchsorted(self.referrer_sums, rng.random(), side="right"))
        return self.referrers[min(place, len(self.referrers) - 1)]

    def watch(self, rng: np.random.Generator, targets: Ints) -> Ints:
        """Honest watch times in ms of views of ``targets``."""
        lengths = np.array(LENGTHS)[self.length_class[targets]]
        kind = rng.random(len(targets))
        middle = rng.beta(1.3, 1.6, len(targets))
        share = np.where(kind < lengths[:, 3], 0.12 * rng.random(len(targets)), middle)
        share = np.where(kind > 1.0 - lengths[:, 4], rng.uniform(0.96, 1.0, len(targets)), share)
        return (share * self.duration_ms[targets]).astype(np.int64)

    # ---------------------------------------------------------------- the stream

    def events(self, start_ms: int, end_ms: int) -> Iterator[list[Labelled]]:
        """Events from ``start_ms`` up to ``end_ms`` in chunks, in order of time.

        The same seed and times give the same events. Another start gives other events of the same platform.
        """
        for chunk in Stream(self, start_ms).until(end_ms):
            yield list(map(Labelled, chunk, repeat("", len(chunk)), repeat(False, len(chunk))))
