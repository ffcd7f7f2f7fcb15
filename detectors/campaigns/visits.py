"""Small windows whose actors are paired: the weight of a window, and the windows within the budget of pairs."""

from __future__ import annotations

import math
import zlib
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.campaigns.pair_arrays import pairs_of_places

CROWD_MAX = 48
"""Most actors of a window that is paired. Meeting in a larger crowd is no evidence, and m actors make m²/2 pairs."""
PAIRS_PER_ACTOR, PAIRS_MIN = 4, 4096
"""Budget of pairs per call of ``ActorPairs.learn``: so many per actor, plus a constant. The smallest windows go
first."""

WEIGHT_MIN = 0.05
"""Least weight of a window that is paired."""


class Visit(NamedTuple):
    """A small window: its time, its owner's bit, its weight (in units of 1 / ONE), and its known actors, sorted."""

    unit: int
    bit: int
    weight: int
    actors: tuple[int, ...]


def owner_bit(owner: int, target: str) -> int:
    """The bit, 0 … 63, of a target's owner (a hash, -1 if not given), else of the target."""
    return (owner if owner >= 0 else zlib.crc32(target.encode())) & 63


def weight_of(count: int, usual: float, before: float) -> float:
    """Weight of a meeting in a window of ``count`` events, 0 … 1: the part that the target's own course cannot explain.

    ``usual`` is the usual count of the window, ``before`` the target's events of the day so far.

    >>> weight_of(6, 0.2, 0.0), weight_of(6, 6.0, 900.0), round(weight_of(6, 0.2, 54.0), 2)
    (0.0, 0.0, 0.9)
    """
    return max(0.0, min(1.0 - usual / count, before / (before + count)))


def within_budget(visits: list[Visit]) -> list[Visit]:
    """The smallest of these windows whose pairs are within the budget."""
    visits = sorted(visits, key=lambda visit: len(visit.actors))
    left = PAIRS_MIN + PAIRS_PER_ACTOR * sum(len(visit.actors) for visit in visits)
    for place, visit in enumerate(visits):
        left -= math.comb(len(visit.actors), 2)
        if left < 0:
            return visits[:place]
    return visits


def all_pairs(visits: list[Visit]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.intp]]:
    """All pairs of each window's actors, and the index of their window. The windows must be sorted by size."""
    left, right, window, place = [], [], [], 0
    for size, group in groupby(visits, key=lambda visit: len(visit.actors)):
        table = np.array([visit.actors for visit in group], np.int64)
        i, j = pairs_of_places(size)
        left.append(table[:, i].ravel())
        right.append(table[:, j].ravel())
        window.append(np.repeat(np.arange(place, place + len(table)), len(i)))
        place += len(table)
    return np.concatenate(left), np.concatenate(right), np.concatenate(window)
