"""Arrays of pairs of actors: their keys, and their places in the table of pairs.

Numpy works on all pairs of some windows at once. Python would take a hundred times as long.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLOTS, WAYS = 1 << 16, 4
"""262,144 pairs of 19 bytes, 5 MB."""
CELLS = 1 << 15
"""Cells of each of the two rows in which visits are counted (count-min: never too few; Cormode 2005)."""

Hashes = NDArray[np.uint64]
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
_SHIFT, _HALF = np.uint64(29), np.uint64(16)
COUNTED = getattr(np, "bitwise_count", None)
"""Numpy has it from version 2 on; without, bits are folded."""
_FOLDS = [(np.uint64(((1 << 64) - 1) // ((1 << width) + 1)), np.uint64(width)) for width in (1, 2, 4, 8, 16, 32)]
"""Masks of every second group of so many bits, and how far the others are shifted onto them."""


@cache
def pairs_of_places(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All pairs of places among so many, of which there are SUSPECTS_MAX at most. Numpy makes them anew in 40 µs."""
    return np.triu_indices(size, 1)


def pair_keys(left: NDArray[np.int64], right: NDArray[np.int64]) -> Hashes:
    """48 bits of each pair, the smaller hash being the left one."""
    mixed = left.astype(np.uint64) * _MULTIPLIERS[0] ^ right.astype(np.uint64) * _MULTIPLIERS[1]
    mixed = (mixed ^ mixed >> _SHIFT) * _MULTIPLIERS[2]
    return np.asarray(mixed >> _HALF, np.uint64)


def first_of_each(keys: Hashes) -> tuple[Hashes, NDArray[np.intp]]:
    """The different keys (of 48 bits) in order, and where each stands first."""
    if len(keys) > 1 << 16:
        return np.unique(keys, return_index=True)
    # With its place behind it each is different from all others, and sorting values takes half of sorting places.
    packed = np.sort(keys << _HALF | np.arange(len(keys), dtype=np.uint64))
    keys = packed >> _HALF
    first = np.append(True, keys[1:] != keys[:-1])
    return keys[first], (packed[first] & np.uint64(0xFFFF)).astype(np.intp)


def slots_of(keys: Hashes) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """The slot of each pair, which has WAYS places, and its fingerprint, which is never 0."""
    slots = (keys & np.uint64(SLOTS - 1)).astype(np.int64)
    prints = (keys >> _HALF & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    return slots, np.maximum(prints, 1)


def rows_at(column: NDArray[Any], slots: NDArray[np.int64]) -> NDArray[Any]:
    """What stands in the places of some slots, a row for each."""
    return column.reshape(SLOTS, WAYS).take(slots, axis=0)


def cells_of(actors: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cell of each actor in both rows in which visits are counted."""
    return actors >> 1 & (CELLS - 1), actors >> 24 & (CELLS - 1)


def bits_set(bits: Hashes) -> NDArray[np.int64]:
    """How many bits are set in each."""
    if COUNTED is not None:
        return np.asarray(COUNTED(bits), np.int64)
    for mask, shift in _FOLDS:
        bits = (bits & mask) + (bits >> shift & mask)
    return bits.astype(np.int64)
