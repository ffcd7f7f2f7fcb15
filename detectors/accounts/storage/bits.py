"""Bits of 64-bit words: counted, and set by hashes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_FOLDS = tuple(
    (np.uint64(mask), np.uint64(shift))
    for mask, shift in (
        (0x5555555555555555, 1),
        (0x3333333333333333, 2),
        (0x0F0F0F0F0F0F0F0F, 4),
        (0x00FF00FF00FF00FF, 8),
        (0x0000FFFF0000FFFF, 16),
        (0x00000000FFFFFFFF, 32),
    )
)


def bits_set(words: Words) -> NDArray[np.int64]:
    """Number of set bits of each word.

    >>> bits_set(np.array([0, 7, 1 << 63], np.uint64)).tolist()
    [0, 3, 1]
    """
    for mask, shift in _FOLDS:
        words = (words & mask) + (words >> shift & mask)
    return words.astype(np.int64)


def distinct(bits: Words) -> NDArray[np.int64]:
    """Number of bits set in each row of words: a lower bound of the distinct values that were hashed to bits."""
    if bits.ndim == 1:
        return bits_set(bits)
    counted: NDArray[np.int64] = np.sum([bits_set(bits[:, word]) for word in range(bits.shape[1])], axis=0)
    return counted


def united(numbers: NDArray[np.int64], starts: NDArray[np.intp], words: int) -> list[Words]:
    """The bits with some numbers, united within segments: an array for each word, with a value for each segment.

    ``numbers`` below 0 are no bit. Segments begin at ``starts``, and none is empty.

    >>> [part.tolist() for part in united(np.array([0, 65, -1, 1]), np.array([0, 2]), 2)]
    [[1, 2], [2, 0]]
    """
    one, word_of = np.uint64(1), numbers >> 6
    bit = one << (numbers & 63).astype(np.uint64)
    return [np.bitwise_or.reduceat(np.where(word_of == word, bit, np.uint64(0)), starts) for word in range(words)]


def has_bit(words: Any, number: int) -> bool:
    """Whether a row of words has the bit with this number."""
    return bool(int(words[number >> 6]) >> (number & 63) & 1)
