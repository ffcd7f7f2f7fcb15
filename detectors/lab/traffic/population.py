"""The people of a simulated platform: countries and daily rhythms, networks, user agents, accounts.

It does not depend on any detector. Distributions follow publications on real platforms: heavy-tailed activity, carriers
with thousands of phones behind few addresses, an evening peak in local time, a long tail of user agents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.windows.scales import DAY_MS, HOUR_MS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]

COUNTRIES: tuple[tuple[str, float, int], ...] = (
    ("US", 18.0, -6), ("IN", 15.0, 5), ("BR", 7.5, -3), ("ID", 6.0, 7), ("JP", 4.5, 9), ("GB", 4.5, 0),
    ("DE", 4.5, 1), ("MX", 4.5, -6), ("FR", 4.0, 1), ("TR", 3.0, 3), ("PH", 3.0, 8), ("VN", 3.0, 7),
    ("IT", 2.6, 1), ("ES", 2.4, 1), ("KR", 2.4, 9), ("CA", 2.2, -5), ("TH", 2.0, 7), ("PL", 1.8, 1),
    ("EG", 1.6, 2), ("AR", 1.5, -3), ("PK", 1.5, 5), ("BD", 1.4, 6), ("NL", 1.1, 1), ("AU", 1.1, 10),
    ("CO", 1.0, -5), ("MY", 0.9, 8), ("SE", 0.6, 1), ("RO", 0.5, 2), ("PT", 0.4, 0), ("FI", 0.3, 2),
)  # fmt: skip
"""Code, share of the platform's activity (relative), whole hours from UTC."""

LOCAL_DAY: Floats = np.array(
    (0.62, 0.42, 0.29, 0.21, 0.18, 0.22, 0.35, 0.55, 0.74, 0.85, 0.92, 0.99,
     1.08, 1.10, 1.07, 1.09, 1.16, 1.26, 1.40, 1.58, 1.72, 1.75, 1.52, 1.02)
)  # fmt: skip
"""Relative activity by local hour: trough at four, peak at nine in the evening."""

WEEKDAYS: Floats = np.array([0.95, 0.94, 0.95, 0.97, 1.03, 1.10, 1.08])
"""Monday first."""

LIFE_DAYS_MEDIAN = 600.0
LIFE_SPREAD = 1.2
"""Lifetime of an account in days (log-normal). Then its owner creates another one, so about one active account in ten
is less than 30 days old."""

ACTIVITY_MAX = 15.0
"""Highest activity of a person, relative to the mean: nobody watches all day, every day."""

IPV6_SHARE = 0.3
MOBILE_SHARE = 0.35
"""Share of events over a mobile carrier instead of the home network."""
CARRIER_NETWORKS = 4
"""Public /24 networks per carrier; a country has three carriers."""


class Person(NamedTuple):
    """The fields of one account's events at one time."""

    actor: str
    ip: str
    agent: str
    country: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Population:
    """People in slots, sorted by country. A person's accounts follow each other in the same slot."""

    country: Ints
    bounds: Ints
    """slots of country c: bounds[c] … bounds[c + 1] - 1"""
    activity: Floats
    """running sum of activity over the slots; heavy-tailed"""
    home: Texts
    mobile: Texts
    agent: Texts
    second_agent: Texts
    life_ms: Ints
    phase_ms: Ints

    def __len__(self) -> int:
        return len(self.country)

    def draw(self, rng: np.random.Generator, countries: Ints) -> Ints:
        """Random slots by activity. ``countries`` are indexes of countries, -1 for any country."""
        total = self.activity[-1]
        edges = np.concatenate([[0.0], self.activity])[self.bounds]
        anywhere = countries < 0
        low = np.where(anywhere, 0.0, edges[countries])
        high = np.where(anywhere, total, edges[countries + 1])
        places = low + rng.random(len(countries)) * (high - low)
        found: Ints = np.searchsorted(self.activity, places, side="right").astype(np.int64)
        return np.minimum(found, len(self) - 1)

    def account(self, slot: int, at_ms: int) -> tuple[str, int]:
        """Id of the slot's account at ``at_ms``, and its time of creation in epoch ms."""
        life, phase = int(self.life_ms[slot]), int(self.phase_ms[slot])
        generation = (at_ms + phase) // life
        return f"u{slot:x}.{generation}", max(0, generation * life - phase)

    def person(self, slot: int, at_ms: int, *, mobile: bool = False) -> Person:
        """The person in a slot, on the home network or, if ``mobile``, on the carrier's."""
        actor, created = self.account(slot, at_ms)
        ip = (self.mobile if mobile else self.home)[slot]
        return Person(actor, ip, self.agent[slot], COUNTRIES[int(self.country[slot])][0], created)

    def people(
        self, rng: np.random.Generator, count: int, at_ms: int, *, country: int = -1, distinct: bool = False
    ) -> list[Person]:
        """Random people by activity, from one country or any.

        If ``distinct``, they are drawn uniformly, without repeats as long as there are enough.
        """
        if distinct:
            low, high = (0, len(self)) if country < 0 else self.bounds[country : country + 2]
            slots = rng.permutation(np.arange(low, high))[:count]
            if len(slots) < count:
                slots = np.concatenate([slots, rng.integers(low, high, count - len(slots))])
        else:
            slots = self.draw(rng, np.full(count, country, dtype=np.int64))
        away = rng.random(count) < MOBILE_SHARE
        return [self.person(int(s), at_ms, mobile=bool(m)) for s, m in zip(slots, away, strict=True)]


def populate(rng: np.random.Generator, size: int, agents: Texts, agent_shares: Floats) -> Population:
    """A population of ``size`` slots, with devices drawn from ``agents`` by their shares."""
    weights = np.array([share for _, share, _ in COUNTRIES])
    country = np.sort(rng.choice(len(COUNTRIES), size, p=weights / weights.sum()))
    bounds = np.searchsorted(country, np.arange(len(COUNTRIES) + 1)).astype(np.int64)
    for place in range(len(COUNTRIES)):  # no country may be empty: it shares a person with its neighbour
        if bounds[place] == bounds[place + 1]:
            bounds[place] = max(0, bounds[place] - 1)
    activity = rng.pareto(1.6, size) + 0.15
    return Population(
        country=country.astype(np.int64),
        bounds=bounds,
        activity=np.cumsum(np.minimum(activity, ACTIVITY_MAX * activity.mean())),
        home=np.array([home_address(rng, int(c)) for c in country], dtype=object),
        mobile=np.array([carrier_address(rng, int(c)) for c in country], dtype=object),
        agent=rng.choice(agents, size, p=agent_shares),
        second_agent=rng.choice(agents, size, p=agent_shares),
        life_ms=(rng.lognormal(np.log(LIFE_DAYS_MEDIAN), LIFE_SPREAD, size).clip(3, 4000) * DAY_MS).astype(np.int64),
        phase_ms=rng.integers(0, 4000 * DAY_MS, size),
    )


def home_address(rng: np.random.Generator, country: int) -> str:
    """A random address of a household: IPv4 from the country's blocks, or IPv6 from one of its providers."""
    weight = COUNTRIES[country][1]
    if rng.random() < IPV6_SHARE:
        provider, site = int(rng.integers(0, 4)), int(rng.integers(0, int(600 * weight) + 50))
        prefix = f"2a{country:02x}:{provider:x}00:{site:x}"
        return f"{prefix}:{int(rng.integers(0, 256)):x}::{int(rng.integers(2, 65000)):x}"
    block = int(rng.integers(0, int(500 * weight) + 40))
    return f"{60 + country}.{block // 256 + 16}.{block % 256}.{int(rng.integers(1, 255))}"


def carrier_address(rng: np.random.Generator, country: int) -> str:
    """A random address of a mobile carrier's gateway: few networks, many people."""
    carrier, network, host = (
        int(rng.integers(low, high)) for low, high in ((200, 203), (0, CARRIER_NETWORKS), (1, 255))
    )
    return f"{100 + country}.{carrier}.{network}.{host}"


def rhythm(country: Ints, at_ms: int) -> Floats:
    """Activity of countries at a time, relative to the mean of a week."""
    offsets = np.array([zone for _, _, zone in COUNTRIES])[country]
    local = at_ms / HOUR_MS + offsets
    hour = local % 24.0
    day = WEEKDAYS[((local // 24).astype(np.int64) + 3) % 7]  # 1 January 1970 was a Thursday
    return np.asarray(np.interp(hour, np.arange(25), np.append(LOCAL_DAY, LOCAL_DAY[0])) / LOCAL_DAY.mean() * day)


def world_rhythm(at_ms: int) -> float:
    """Activity of the whole platform at a time, relative to the mean of a week."""
    weights = np.array([share for _, share, _ in COUNTRIES])
    return float(np.average(rhythm(np.arange(len(COUNTRIES)), at_ms), weights=weights))
