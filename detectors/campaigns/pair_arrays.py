"""Arrays of actor pairs: their keys, and their slots in the table of pairs.

NumPy processes all pairs of several windows at once. Python would take a hundred times as long.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLOTS, WAYS = 1 << 16, 4
"""Slots of the table, and places per slot: 262,144 pairs of 19 bytes, 5 MB."""
CELLS = 1 << 15
"""Cells of each of the two rows that count visits (count-min sketch: it never undercounts; Cormode 2005)."""

Hashes = NDArray[np.uint64]
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
_SHIFT, _HALF = np.uint64(29), np.uint64(16)
BITWISE_COUNT = getattr(np, "bitwise_count", None)
"""NumPy's population count, available from version 2; else bits are folded."""
_FOLDS = [(np.uint64(((1 << 64) - 1) // ((1 << width) + 1)), np.uint64(width)) for width in (1, 2, 4, 8, 16, 32)]
"""Masks of every second group of 1, 2, 4 … bits, and the shift of the other groups onto them."""


@cache
def pairs_of_places(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All pairs of indexes below ``size``. Cached, because NumPy takes 40 µs; sizes are at most SUSPECTS_MAX."""
    return np.triu_indices(size, 1)


def pair_keys(left: NDArray[np.int64], right: NDArray[np.int64]) -> Hashes:
    """A 48-bit key of each pair. ``left`` must be the smaller hash."""
    mixed = left.astype(np.uint64) * _MULTIPLIERS[0] ^ right.astype(np.uint64) * _MULTIPLIERS[1]
    mixed = (mixed ^ mixed >> _SHIFT) * _MULTIPLIERS[2]
    return np.asarray(mixed >> _HALF, np.uint64)


def first_of_each(keys: Hashes) -> tuple[Hashes, NDArray[np.intp]]:
    """The different 48-bit keys in order, and the index of the first occurrence of each."""
    if len(keys) > 1 << 16:
        return np.unique(keys, return_index=True)
    # Key and index are packed into one value: sorting values takes half the time of sorting indexes.
    packed = np.sort(keys << _HALF | np.arange(len(keys), dtype=np.uint64))
    keys = packed >> _HALF
    first = np.append(True, keys[1:] != keys[:-1])
    return keys[first], (packed[first] & np.uint64(0xFFFF)).astype(np.intp)


def slots_of(keys: Hashes) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """The slot of each pair (WAYS places each), and its fingerprint, which is never 0."""
    slots = (keys & np.uint64(SLOTS - 1)).astype(np.int64)
    prints = (keys >> _HALF & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    return slots, np.maximum(prints, 1)


def rows_at(column: NDArray[Any], slots: NDArray[np.int64]) -> NDArray[Any]:
    """The values of a column in the places of some slots, one row per slot."""
    return column.reshape(SLOTS, WAYS).take(slots, axis=0)


def cells_of(actors: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cell of each actor in both rows that count visits."""
    return actors >> 1 & (CELLS - 1), actors >> 24 & (CELLS - 1)


def bits_set(bits: Hashes) -> NDArray[np.int64]:
    """Number of set bits of each value."""
    if BITWISE_COUNT is not None:
        return np.asarray(BITWISE_COUNT(bits), np.int64)
    for mask, shift in _FOLDS:
        bits = (bits & mask) + (bits >> shift & mask)
    return bits.astype(np.int64)
