"""Small windows whose actors are put in pairs: what a meeting there weighs, and which windows can be afforded."""

from __future__ import annotations

import math
import zlib
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.campaigns.pair_arrays import pairs_of_places

CROWD_MAX = 48
"""Actors of a window above which nobody is paired: whom everybody meets, nobody is in league with; pairs cost m²/2."""
PAIRS_A_VISIT, PAIRS_FREE = 4, 4096
"""Pairs that one learning may make: so many for every visit, and so many anyhow. The smallest windows go first."""

WEIGHT_MIN = 0.05
"""Windows whose crowd is all but explained are left out."""


class Visit(NamedTuple):
    """A small window: when, whose (a bit), of what weight (in ONE), and the actors known before, in order."""

    unit: int
    bit: int
    weight: int
    actors: tuple[int, ...]


def owner_bit(owner: int, target: str) -> int:
    """The bit, 0 … 63, of a target's owner (a hash, -1 not given), else of the target."""
    return (owner if owner >= 0 else zlib.crc32(target.encode())) & 63


def weight_of(count: int, usual: float, before: float) -> float:
    """What of a meeting in a window of ``count`` events is not its target's own course, 0 … 1.

    ``usual`` is what the window usually has, ``before`` what the target has had in the day so far.

    >>> weight_of(6, 0.2, 0.0), weight_of(6, 6.0, 900.0), round(weight_of(6, 0.2, 54.0), 2)
    (0.0, 0.0, 0.9)
    """
    return max(0.0, min(1.0 - usual / count, before / (before + count)))


def affordable(visits: list[Visit]) -> list[Visit]:
    """The smallest of these windows, as many as their pairs can be made of."""
    visits = sorted(visits, key=lambda visit: len(visit.actors))
    left = PAIRS_FREE + PAIRS_A_VISIT * sum(len(visit.actors) for visit in visits)
    for place, visit in enumerate(visits):
        left -= math.comb(len(visit.actors), 2)
        if left < 0:
            return visits[:place]
    return visits


def all_pairs(visits: list[Visit]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.intp]]:
    """All pairs of each window's actors, and the place of their window. The windows come by size."""
    left, right, of, place = [], [], [], 0
    for size, group in groupby(visits, key=lambda visit: len(visit.actors)):
        table = np.array([visit.actors for visit in group], np.int64)
        i, j = pairs_of_places(size)
        left.append(table[:, i].ravel())
        right.append(table[:, j].ravel())
        of.append(np.repeat(np.arange(place, place + len(table)), len(i)))
        place += len(table)
    return np.concatenate(left), np.concatenate(right), np.concatenate(of)
