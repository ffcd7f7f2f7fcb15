"""Features of the crowds of many windows, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from detectors.events.actor import ACCOUNT_BIT
from detectors.events.buckets import NETWORK_BUCKETS
from detectors.features import names as f
from detectors.features.columns import Column, Columns
from detectors.features.names import EVEN_EVENTS_MIN, EVEN_PARTS_MIN, FEW_MIN, GIVEN_SHARE, PEOPLE_MIN
from detectors.features.people import People
from detectors.features.referrers import unusual_referrers
from detectors.reference.known_actors import KnownActors, are_unknown
from detectors.reference.mixes import Mix, WatchMix
from detectors.reference.surpluses import Sums, histograms, surpluses_by_dimension, watch_surpluses
from detectors.windows.crowd import Crowd
from detectors.windows.sample import ACCOUNT, DIMENSIONS

SHARES_BEYOND = (f.NETWORK, f.AGENT, f.REFERRER, f.COUNTRY, f.COHORT)
"""The feature of each of DIMENSIONS."""
NETWORK, REFERRERS = DIMENSIONS.index("network"), DIMENSIONS.index("referrer")

FRESH_BIT = 1
"""Lowest bit of an account's bucket: whether the account was fresh."""


class Newcomers(NamedTuple):
    """By window: the actors that were checked, the unknown ones among them, and both numbers for accounts."""

    checked: NDArray[np.int64]
    unknown: NDArray[np.int64]
    accounts: NDArray[np.int64]
    new_accounts: NDArray[np.int64]


def newcomers_of(crowds: Sequence[Crowd], people: People, known: Sequence[KnownActors]) -> Newcomers:
    """The newcomers of crowds, whose people are given.

    Numbers set when a crowd's minutes closed are used, because by now all its actors are known.
    """
    counted = [(crowd.met + crowd.unmet, crowd.unmet, crowd.asked, crowd.newcomers) for crowd in crowds]
    table = np.array(counted, np.int64).reshape(-1, 4).T
    missing = table[0] == 0
    if missing.any():
        table = np.where(missing, numbers_of_newcomers(people, are_unknown(people.actor, known)), table)
    return Newcomers(*table)


def numbers_of_newcomers(people: People, unmet: NDArray[np.bool_]) -> Newcomers:
    """The newcomers by window, if ``unmet`` is whether each of the people was never seen before."""
    accounts = people.actor & ACCOUNT_BIT
    columns = np.ones(len(unmet)), unmet, accounts, accounts * unmet
    return Newcomers(*(np.bincount(people.window, c, people.windows).astype(np.int64) for c in columns))


def crowd_columns(
    crowds: Sequence[Crowd],
    people: People,
    mixes: Mapping[str, Mix],
    known: Newcomers,
    no_referrer: float | None = None,
) -> Columns:
    """Composition of crowds: PEOPLE, and shares in 0 … 1. ``people`` are those of the crowds.

    ``no_referrer`` is the platform's usual share of people without a referrer; without it UNUSUAL_REFERRERS is absent.
    A crowd of which no event has an actor has no feature.
    """
    named = np.array([crowd.named for crowd in crowds], np.int64)
    sampled = people.number()
    distinct = sampled.astype(np.float64)
    for place, crowd in enumerate(crowds):
        if crowd.sampled:
            distinct[place] = crowd.distinct_actors()
    there = sampled > 0
    several = np.maximum(sampled, 1)
    given, over = _by_dimension(people, mixes)
    events = np.bincount(people.window, people.events, len(crowds))
    x: Columns = {
        f.PEOPLE: _where(there, distinct),
        f.ACCOUNT_HOLDERS: _where(there, distinct * given[ACCOUNT] / several),
        f.REPEATS: _where(there, 1.0 - sampled / np.maximum(events, 1)),
    }
    beyond = unusual_referrers(sampled, given[REFERRERS], over.whole[REFERRERS], no_referrer)
    if beyond is not None:
        _add(x, f.UNUSUAL_REFERRERS, there, beyond)
    if len(people.watch_window):
        _watch(x, people, mixes["watch"], there, named)
    crowded = there & (distinct >= np.minimum(PEOPLE_MIN, np.maximum(FEW_MIN, named)))
    if not crowded.any():
        return x
    _add(x, f.STRANGERS, crowded, known.unknown / np.maximum(known.checked, 1))
    needed = np.where(distinct >= PEOPLE_MIN, GIVEN_SHARE, 1.0) * sampled
    enough = crowded & (given > 0) & (given >= needed)
    shares, without_largest = (sums / np.maximum(given, 1) for sums in (over.whole, over.without_largest))
    if enough[ACCOUNT].any():
        ages = people.column("account")
        fresh = np.bincount(people.window, (ages >= 0) & (ages & FRESH_BIT == 1), people.windows)
        _add(x, f.FRESH, enough[ACCOUNT], fresh / np.maximum(given[ACCOUNT], 1))
        accounts = enough[ACCOUNT] & (known.accounts >= np.minimum(PEOPLE_MIN, sampled))
        _add(x, f.DORMANT, accounts, known.new_accounts / np.maximum(known.accounts, 1))
    for place, name in enumerate(SHARES_BEYOND):
        _add(x, name, enough[place], shares[place])
    _add(x, f.SPREAD, enough[NETWORK], without_largest[NETWORK])
    return x


def evenness(crowds: Sequence[Crowd], parts: int) -> Column:
    """EVEN of windows of ``parts`` equally long parts; NaN below EVEN_PARTS_MIN parts or EVEN_EVENTS_MIN events.

    The ``squares`` of each crowd must be the sum of the squared counts of its parts.

    >>> evenness([Crowd(n=120, squares=12 * 10 * 10), Crowd(n=9)], 12).tolist()
    [1.0, nan]
    """
    counts = np.array([crowd.n for crowd in crowds], np.float64)
    if parts < EVEN_PARTS_MIN:
        return np.full(len(crowds), np.nan)
    mean = counts / parts
    squares = np.array([crowd.squares for crowd in crowds], np.float64)
    variance = (squares - counts * mean) / (parts - 1)
    return _where(counts >= EVEN_EVENTS_MIN, np.maximum(0.0, 1.0 - variance / np.maximum(mean, 1.0 / parts)))


Mask = NDArray[np.bool_]


def _by_dimension(people: People, mixes: Mapping[str, Mix]) -> tuple[NDArray[np.int64], Sums]:
    """By dimension and window, the number of people with a bucket, and the sums of the surpluses."""
    buckets = people.traits[:, : len(DIMENSIONS)].T.astype(np.int64)
    buckets[NETWORK][buckets[NETWORK] < NETWORK_BUCKETS] = -1  # its country is not given
    buckets[ACCOUNT] >>= 1
    place = (np.arange(len(DIMENSIONS))[:, None] * people.windows + people.window).ravel()
    counts = histograms(len(DIMENSIONS) * people.windows, place, buckets.ravel())
    totals = counts.totals()
    over = surpluses_by_dimension([mixes[name] for name in DIMENSIONS], counts, totals)
    shape = len(DIMENSIONS), people.windows
    return totals.reshape(shape), Sums(over.whole.reshape(shape), over.without_largest.reshape(shape))


def _watch(x: Columns, people: People, mix: Mix, there: Mask, named: NDArray[np.int64]) -> None:
    watched = histograms(people.windows, people.watch_window, people.watch_bucket, people.watch_events)
    seen = watched.totals()
    excess = watch_surpluses(cast("WatchMix", mix), watched).whole / np.maximum(seen, 1)
    _add(x, f.WATCH, there & (seen > 0) & (seen >= GIVEN_SHARE * named), excess)


def _where(mask: Mask, values: Column) -> Column:
    return np.where(mask, values, np.nan)


def _add(x: Columns, name: str, mask: Mask, values: Column) -> None:
    if mask.any():
        x[name] = _where(mask, values)
