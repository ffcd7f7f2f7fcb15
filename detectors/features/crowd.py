"""Features of the crowds of many windows, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.events.buckets import NETWORK_BUCKETS
from detectors.features import names as f
from detectors.features.columns import Column, Columns, rows_of
from detectors.features.names import EVEN_EVENTS_MIN, EVEN_PARTS_MIN, FEW_MIN, GIVEN_SHARE, PEOPLE_MIN, Features
from detectors.features.people import People, people_of
from detectors.reference.known_actors import KnownActors, newcomers
from detectors.reference.mixes import Mix
from detectors.reference.surpluses import Histograms, cohort_surpluses, histograms, sums, surpluses
from detectors.windows.crowd import Crowd

FRESH_BIT = 1
"""Lowest bit of an account's bucket: whether the account was fresh."""


class Newcomers(NamedTuple):
    """By window: the actors that were checked, the unknown ones among them, and both numbers for accounts."""

    checked: NDArray[np.int64]
    unknown: NDArray[np.int64]
    accounts: NDArray[np.int64]
    new_accounts: NDArray[np.int64]


def newcomers_of(crowds: Sequence[Crowd], known: Sequence[KnownActors]) -> Newcomers:
    """The newcomers of crowds; see known_actors.newcomers."""
    table = np.array([newcomers(crowd, known) for crowd in crowds], np.int64).reshape(-1, 4)
    return Newcomers(*table.T)


def crowd_columns(crowds: Sequence[Crowd], people: People, mixes: Mapping[str, Mix], known: Newcomers) -> Columns:
    """Composition of crowds: PEOPLE, and shares in 0 … 1. ``people`` are those of the crowds.

    A crowd of which no event has an actor has no feature.
    """
    named = np.array([crowd.named for crowd in crowds], np.int64)
    sampled = people.number()
    distinct = sampled.astype(np.float64)
    for place, crowd in enumerate(crowds):
        if crowd.sampled:
            distinct[place] = crowd.distinct_actors()
    there = sampled > 0
    events = np.bincount(people.window, people.events, len(crowds))
    with_age = np.bincount(people.window[people.column("account") >= 0], minlength=len(crowds))
    x: Columns = {
        f.PEOPLE: _where(there, distinct),
        f.ACCOUNT_HOLDERS: _where(there, distinct * with_age / np.maximum(sampled, 1)),
        f.REPEATS: _where(there, 1.0 - sampled / np.maximum(events, 1)),
    }
    watched = histograms(len(crowds), people.watch_window, people.watch_bucket, people.watch_events)
    seen = watched.totals()
    _add(x, f.WATCH, there & (seen > 0) & (seen >= GIVEN_SHARE * named), _excess(mixes["watch"], watched, seen))
    crowded = there & (distinct >= np.minimum(PEOPLE_MIN, np.maximum(FEW_MIN, named)))
    if not crowded.any():
        return x
    _add(x, f.STRANGERS, crowded, known.unknown / np.maximum(known.checked, 1))
    needed = np.where(distinct >= PEOPLE_MIN, GIVEN_SHARE, 1.0) * sampled
    _accounts(x, people, mixes["account"], known, (crowded, needed, sampled))
    _networks(x, people, mixes["network"], crowded, needed)
    for name in (f.AGENT, f.REFERRER, f.COUNTRY):
        counts = histograms(len(crowds), people.window, people.column(name))
        given = counts.totals()
        if given.any():
            _add(x, name, crowded & (given > 0) & (given >= needed), _excess(mixes[name], counts, given))
    return x


def crowd_features(crowd: Crowd, mixes: Mapping[str, Mix], known: Sequence[KnownActors]) -> Features:
    """As ``crowd_columns`` for one crowd."""
    people = people_of([crowd])
    return rows_of(crowd_columns([crowd], people, mixes, newcomers_of([crowd], known)), [0])[0]


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


def _accounts(
    x: Columns, people: People, mix: Mix, known: Newcomers, crowd: tuple[Mask, NDArray[Any], NDArray[np.int64]]
) -> None:
    crowded, needed, sampled = crowd
    ages = people.column("account")
    window, bucket = people.window[ages >= 0], ages[ages >= 0]
    given = np.bincount(window, minlength=people.windows)
    enough = crowded & (given >= needed)
    if not enough.any():
        return
    divisor = np.maximum(given, 1)
    _add(x, f.FRESH, enough, np.bincount(window, bucket & FRESH_BIT, people.windows) / divisor)
    cohorts = histograms(people.windows, window, bucket >> 1)
    over = cohort_surpluses(mix, cohorts)
    _add(x, f.COHORT, enough, sums(people.windows, cohorts.window, over)[0] / divisor)
    accounts = enough & (known.accounts >= np.minimum(PEOPLE_MIN, sampled))
    _add(x, f.DORMANT, accounts, known.new_accounts / np.maximum(known.accounts, 1))


def _networks(x: Columns, people: People, mix: Mix, crowded: Mask, needed: NDArray[Any]) -> None:
    networks = people.column("network")
    in_country = networks >= NETWORK_BUCKETS
    if not in_country.any():
        return
    counts = histograms(people.windows, people.window[in_country], networks[in_country])
    given = counts.totals()
    enough = crowded & (given > 0) & (given >= needed)
    whole, without_largest = sums(people.windows, counts.window, surpluses(mix, counts))
    _add(x, f.NETWORK, enough, whole / np.maximum(given, 1))
    _add(x, f.SPREAD, enough, without_largest / np.maximum(given, 1))


def _excess(mix: Mix, counts: Histograms, totals: NDArray[np.int64]) -> Column:
    """See Mix.excess."""
    return sums(counts.windows, counts.window, surpluses(mix, counts))[0] / np.maximum(totals, 1)


def _where(mask: Mask, values: Column) -> Column:
    return np.where(mask, values, np.nan)


def _add(x: Columns, name: str, mask: Mask, values: Column) -> None:
    if mask.any():
        x[name] = _where(mask, values)
