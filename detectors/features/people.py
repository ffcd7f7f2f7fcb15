"""The people of many windows as columns: who came how often, with which traits, and how long they watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.windows.crowd import PACKED, ROW_BYTES, Crowd
from detectors.windows.sample import COLUMNS, PERSON_BYTES, WATCH, marks_of, people_in

Places = NDArray[np.intp]
"""Positions of windows in the sequence that the columns were made of."""


@dataclass(frozen=True, slots=True)
class People:
    """The sampled people of ``windows`` windows, sorted by window and actor; and their watch times, sorted by window.

    ``traits`` has a row for each person and a column for each of COLUMNS. If the traits of an actor's events differ, it
    has the smallest tuple, as in ``Crowd``.
    """

    windows: int
    window: Places
    actor: NDArray[np.int64]
    events: NDArray[np.int64]
    """events of each person"""
    traits: NDArray[np.int32]
    watch_window: Places
    watch_bucket: NDArray[np.int64]
    watch_events: NDArray[np.int64]
    """events by window and bucket of watch time; a pair may have several rows"""

    def column(self, name: str) -> NDArray[np.int32]:
        """The people's buckets in one of COLUMNS, -1 where not given."""
        return self.traits[:, COLUMNS.index(name)]

    def number(self) -> NDArray[np.int64]:
        """The number of sampled people of each window."""
        return np.bincount(self.window, minlength=self.windows)

    def selected(self, windows: Places) -> People:
        """The people of some of the windows, which must be in ascending order."""
        if len(windows) == self.windows:
            return self
        places = np.full(self.windows, -1, np.intp)
        places[windows] = np.arange(len(windows))
        window, watched = places[self.window], places[self.watch_window]
        here, there = window >= 0, watched >= 0
        return People(
            *(len(windows), window[here], self.actor[here], self.events[here], self.traits[here]),
            *(watched[there], self.watch_bucket[there], self.watch_events[there]),
        )


def people_of(crowds: Sequence[Crowd]) -> People:
    """The people of these crowds. A crowd with folded and pending rows is folded first."""
    for crowd in crowds:
        if crowd.rows and crowd.sample:
            crowd.settle()
    lengths = [len(crowd.rows) // ROW_BYTES for crowd in crowds]
    raw = b"".join([crowd.rows for crowd in crowds])
    window = np.repeat(np.arange(len(crowds)), lengths)
    actor, traits = np.frombuffer(raw, PACKED)["actor"], np.frombuffer(raw, "<i4").reshape(-1, ROW_BYTES // 4)[:, 2:]
    watch = traits[:, WATCH]
    given = np.nonzero(watch >= 0)[0]
    rows = _of_rows(window, actor, traits, sort=max(lengths, default=0) > 1)
    watched = window[given], watch[given].astype(np.int64), np.ones(len(given), np.int64)
    folded = [(place, crowd) for place, crowd in enumerate(crowds) if crowd.sample]
    if not folded:
        return People(len(crowds), *rows, *watched)
    return People(len(crowds), *_by_window(rows, _of_samples(folded)), *_by_window(watched, _watch_of(folded)))


def together(parts: Sequence[People]) -> People:
    """The people of several groups of windows, one after the other."""
    if len(parts) == 1:
        return parts[0]
    number, shifted = 0, []
    for part in parts:
        shifted.append((part.window + number, part.watch_window + number))
        number += part.windows
    names = ("actor", "events", "traits", "watch_bucket", "watch_events")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    window, watched = (np.concatenate(places) for places in zip(*shifted, strict=True))
    return People(windows=number, window=window, watch_window=watched, **columns)


_Part = tuple[Places, NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]


def _by_window(first: tuple[NDArray[Any], ...], second: tuple[NDArray[Any], ...]) -> Sequence[NDArray[Any]]:
    """The columns of two parts, sorted by the first one. Within a window the rows keep their order."""
    if not len(first[0]):
        return second
    columns = [np.concatenate(both) for both in zip(first, second, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return [column[order] for column in columns]


def _of_samples(folded: Sequence[tuple[int, Crowd]]) -> _Part:
    """The people of crowds that are folded, each with its place."""
    samples = [crowd.sample for _, crowd in folded]
    people = people_in(b"".join(samples))
    window = np.repeat([place for place, _ in folded], [len(sample) // PERSON_BYTES for sample in samples])
    return window, people["actor"], people["events"], marks_of(people)


def _watch_of(folded: Sequence[tuple[int, Crowd]]) -> tuple[Places, NDArray[np.int64], NDArray[np.int64]]:
    """Place, bucket and events of the watch times of crowds that are folded."""
    window = np.repeat([place for place, _ in folded], [len(crowd.watch) for _, crowd in folded])
    buckets = [bucket for _, crowd in folded for bucket in crowd.watch]
    events = [count for _, crowd in folded for count in crowd.watch.values()]
    return window, np.array(buckets, np.int64), np.array(events, np.int64)


def _of_rows(window: Places, actor: NDArray[np.int64], traits: NDArray[np.int32], *, sort: bool) -> _Part:
    """One row for each person, from events of windows in ascending order; without ``sort``, one of each window."""
    if not sort:
        return window, actor, np.ones(len(window), np.int64), traits
    order = np.lexsort((actor, window))
    window, actor = window[order], actor[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (window[1:] != window[:-1]) | (actor[1:] != actor[:-1])
    if first.all():
        return window, actor, np.ones(len(order), np.int64), traits[order]
    starts = np.nonzero(first)[0]
    events = np.diff(starts, append=len(order))
    smallest = traits[order[starts]]
    for place in np.nonzero(events > 1)[0].tolist():
        several = order[starts[place] : starts[place] + events[place]]
        smallest[place] = min(traits[several].tolist())
    return window[starts], actor[starts], events, smallest
