"""Known actors, in a Bloom filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.events.actor import count_accounts
from detectors.windows.crowd import Crowd

KNOWN_BITS = 1 << 18
KNOWN_HASHES = 3
_BYTE = KNOWN_BITS // 8 - 1
_SHIFTS = 18 * np.arange(KNOWN_HASHES)[:, None]
KNOWN_FILL = 60_000
"""Actors in one generation: with 60,000 actors, 2¹⁸ bits and 3 hashes at most 12 % of look-ups are false positives,
equally for every crowd."""


class KnownActors:
    """Two generations of a Bloom filter of actors. The older is dropped when the newer is full."""

    __slots__ = ("filled", "newer", "older")

    def __init__(self) -> None:
        self.newer = bytearray(KNOWN_BITS // 8)
        self.older = bytearray(KNOWN_BITS // 8)
        self.filled = 0

    def add_all(self, actors: Sequence[int]) -> None:
        """Add the hashes of many actors at once. A generation may exceed its limit by their number."""
        hashes = np.asarray(actors, np.int64)
        at, bits = _places(hashes)
        newer = np.frombuffer(self.newer, np.uint8)
        self.filled += len(set(hashes[_in(newer, at, bits) == 0].tolist()))
        np.bitwise_or.at(newer, at.ravel(), np.left_shift(1, bits, dtype=np.uint8).ravel())
        if self.filled >= KNOWN_FILL:
            self.older, self.newer, self.filled = self.newer, bytearray(KNOWN_BITS // 8), 0

    def unmet(self, actors: Iterable[int]) -> list[int]:
        """The actors that are in neither generation; false positives are missing (``KNOWN_FILL``).

        It makes no call for each actor, because they are many.
        """
        left = list(actors)
        for bits in (self.newer, self.older):
            left = [
                actor
                for actor in left
                if not (
                    bits[actor >> 3 & _BYTE] >> (actor & 7) & 1
                    and bits[actor >> 21 & _BYTE] >> (actor >> 18 & 7) & 1
                    and bits[actor >> 39 & _BYTE] >> (actor >> 36 & 7) & 1
                )
            ]
        return left


def unknown_to_all(actors: Iterable[int], known: Sequence[KnownActors]) -> list[int]:
    """The actors that are in none of these filters."""
    left = list(actors)
    for filter_ in known:
        left = filter_.unmet(left)
    return left


def are_unknown(actors: NDArray[np.int64], known: Iterable[KnownActors]) -> NDArray[np.bool_]:
    """Whether each actor is in none of these filters; see ``KnownActors.unmet``."""
    at, bits = _places(actors)
    found = np.zeros(len(actors), np.uint8)
    for filter_ in dict.fromkeys(known):
        for generation in (filter_.newer, filter_.older):
            found |= _in(np.frombuffer(generation, np.uint8), at, bits)
    unknown: NDArray[np.bool_] = found == 0
    return unknown


def _places(actors: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The byte and the bit in it of each Bloom hash of each actor."""
    places = actors >> _SHIFTS & (KNOWN_BITS - 1)
    return places >> 3, (places & 7).astype(np.uint8)


def _in(generation: NDArray[np.uint8], at: NDArray[np.int64], bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """1 for the actors all of whose bits are set in a generation, else 0."""
    there: NDArray[np.uint8] = np.bitwise_and.reduce(generation[at] >> bits, axis=0) & 1
    return there


def count_newcomers(crowd: Crowd, actors: set[int], known: Sequence[KnownActors]) -> list[int]:
    """Set a crowd's numbers of known and unknown actors, before these are added. Returns the unknown ones."""
    unmet = unknown_to_all(actors, known)
    crowd.unmet = len(unmet)
    crowd.met = len(actors) - crowd.unmet
    crowd.asked, crowd.newcomers = count_accounts(actors), count_accounts(unmet)
    return unmet
