"""An index from idle accounts to their places in pages: 16 bytes for each account."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

GONE = -1
"""In place of a place: the account is not here any more."""


class Found(NamedTuple):
    """Where some accounts are. Valid until the index changes."""

    places: Ints
    """the place of each account; GONE if it is not in the index"""
    entries: list[tuple[Ints, NDArray[np.intp]]]
    """the entries of those that are: arrays of places, and positions in them"""


class Index:
    """Account → place, in sorted runs whose sizes grow geometrically. An account is in at most one place."""

    def __init__(self) -> None:
        self._runs: list[tuple[Ints, Ints]] = []
        self._stored = 0

    def __len__(self) -> int:
        return self._stored

    def add(self, actors: Ints, places: Ints) -> None:
        """Add different accounts that are not in the index. Takes O(log n) amortised for each."""
        if not len(actors):
            return
        order = np.argsort(actors, kind="stable")
        run = actors[order], places[order]
        while self._runs and len(self._runs[-1][0]) < 2 * len(run[0]):
            run = _merged(self._runs.pop(), run)
        self._runs.append(run)
        self._stored += len(actors)

    def find(self, actors: Ints) -> Ints:
        """The place of each account; GONE if it is not in the index."""
        return self.locate(actors).places

    def locate(self, actors: Ints) -> Found:
        """Look accounts up so that those found can be removed. None may be there twice.

        They are sorted, because the next search of NumPy begins at the last one found.
        """
        order = np.argsort(actors, kind="stable")
        wanted = actors[order]
        found, entries = np.full(len(actors), GONE, np.int64), []
        for known, places in self._runs:
            at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
            stored = places[at]
            here = np.flatnonzero((known[at] == wanted) & (stored != GONE))
            if len(here):
                found[order[here]] = stored[here]
                entries.append((places, at[here]))
        return Found(found, entries)

    def remove_found(self, found: Found) -> None:
        """Remove the accounts that were found."""
        for places, at in found.entries:
            places[at] = GONE
            self._stored -= len(at)

    def remove(self, actors: Ints, places: Ints) -> int:
        """Remove accounts that are at these places; those at other places stay. Returns the number removed."""
        order = np.argsort(actors, kind="stable")
        wanted, left, removed = actors[order], places[order], 0
        for known, stored in self._runs:
            at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
            here = (known[at] == wanted) & (stored[at] == left)
            stored[at[here]] = GONE
            removed += int(here.sum())
        self._stored -= removed
        return removed

    def memory_bytes(self) -> int:
        """Bytes of the arrays."""
        return sum(actors.nbytes + places.nbytes for actors, places in self._runs)


def _merged(older: tuple[Ints, Ints], newer: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    actors, places = (np.concatenate(pair) for pair in zip(older, newer, strict=True))
    here = places != GONE
    actors, places = actors[here], places[here]
    order = np.argsort(actors, kind="stable")  # two sorted runs: linear
    return actors[order], places[order]
