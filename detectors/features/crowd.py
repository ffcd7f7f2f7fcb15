"""Features of one window's crowd."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from detectors.features.names import (
    AGENT,
    COHORT,
    COUNTRY,
    DORMANT,
    EVEN_EVENTS_MIN,
    EVEN_PARTS_MIN,
    FEW_MIN,
    FRESH,
    GIVEN_SHARE,
    NETWORK,
    PEOPLE,
    PEOPLE_MIN,
    REFERRER,
    REPEATS,
    SPREAD,
    STRANGERS,
    WATCH,
)
from detectors.reference.known_actors import KnownActors, newcomers
from detectors.reference.mixes import Mix, in_countries
from detectors.windows.crowd import Crowd


def crowd_features(crowd: Crowd, mixes: dict[str, Mix], known: Sequence[KnownActors]) -> dict[str, float]:
    """Composition of a crowd: PEOPLE, and shares in 0 … 1 by feature name. Empty if no event has an actor."""
    crowd.settle()
    known_people = len(crowd.actors)
    if not known_people:
        return {}
    people = crowd.distinct_actors()
    x = {PEOPLE: people, REPEATS: 1.0 - known_people / sum(crowd.actors.values())}
    _watch(x, crowd, mixes)
    if people < min(PEOPLE_MIN, max(FEW_MIN, crowd.named)):
        return x
    checked, unknown, accounts, new_accounts = newcomers(crowd, known)
    x[STRANGERS] = unknown / checked
    needed = (GIVEN_SHARE if people >= PEOPLE_MIN else 1.0) * known_people
    ages = crowd.histogram("account")
    given = sum(ages.values())
    if given >= needed:
        x[FRESH] = sum(count for bucket, count in ages.items() if bucket & 1) / given
        x[COHORT] = mixes["account"].excess(ages)
        if accounts >= min(PEOPLE_MIN, known_people):
            x[DORMANT] = new_accounts / accounts
    networks = in_countries(crowd.histogram("network"))
    given = sum(networks.values())
    if networks and given >= needed:
        over = sorted(mixes["network"].surpluses(networks))
        x[NETWORK] = fsum(over) / given
        x[SPREAD] = fsum(over[:-1]) / given
    for name in (AGENT, REFERRER, COUNTRY):
        counts = crowd.histogram(name)
        if counts and sum(counts.values()) >= needed:
            x[name] = mixes[name].excess(counts)
    return x


def _watch(x: dict[str, float], crowd: Crowd, mixes: dict[str, Mix]) -> None:
    if crowd.watch and sum(crowd.watch.values()) >= GIVEN_SHARE * crowd.named:
        x[WATCH] = mixes[WATCH].excess(crowd.watch)


def evenness(crowd: Crowd, parts: int) -> float | None:
    """EVEN of a window of ``parts`` equally long parts; None below EVEN_PARTS_MIN parts or EVEN_EVENTS_MIN events.

    ``crowd.squares`` must be the sum of the squared counts of these parts.

    >>> even = Crowd(n=120, squares=12 * 10 * 10)
    >>> evenness(even, 12)
    1.0
    """
    if parts < EVEN_PARTS_MIN or crowd.n < EVEN_EVENTS_MIN:
        return None
    mean = crowd.n / parts
    variance = (crowd.squares - crowd.n * mean) / (parts - 1)
    return max(0.0, 1.0 - variance / mean)
