"""Rulings: actors whose acts were removed from a target's count. Sellers use the same accounts for many orders, so
these actors are evidence against later crowds.

A crowd that is almost wholly artificial gets a ruling on each of its actors. One in ten of them may be honest, so a
single actor is no evidence. A ruling does not count on the target it comes from: an incident must not be evidence for
itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from detectors.actors.conduct import ConductRulings
from detectors.actors.replays import ReplayRulings
from detectors.events.actor import all_without_account, without_account
from detectors.events.key import Key, target_of

RULED_MAX = 8_192
"""Actors of a generation: 100 kB of state for each of two. The older is dropped when the newer is full."""

CERTAIN = 0.9
"""Share of a crowd that must be artificial for a ruling on all its actors."""

SEVERAL_TARGETS = 0xFFFF_FFFF
"""In place of a target: the actor has rulings on more than one."""


class Rulings:
    """Actor → target whose count the actor was removed from."""

    def __init__(self) -> None:
        self.conduct = ConductRulings()
        self.replays = ReplayRulings()
        """rulings and findings of the role ``actors``, which are stored by themselves"""
        self._newer: dict[int, int] = {}
        self._older: dict[int, int] = {}
        self._changed = False
        self._sorted: NDArray[np.int64] | None = None
        """all actors with a ruling, in order; None if it must be made anew"""

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def note(self, actors: Iterable[int], key: Key) -> list[int]:
        """Record a ruling on these actors: they were removed from the count of a key's target.

        Returns those (without the account bit) for whom it is news.

        >>> from detectors.events.key import key_of
        >>> rulings, a, b, c = Rulings(), key_of(0, "a"), key_of(0, "b"), key_of(0, "c")
        >>> _ = rulings.note([2, 4], a); rulings.share([2, 4, 6, 8], a), rulings.share([2, 4, 6, 8], b)
        (0.0, 0.5)
        >>> _ = rulings.note([2], key_of(1, "b")); rulings.share([2, 4, 6, 8], a), rulings.share([3, 5], c)
        (0.25, 1.0)
        """
        newer, older, place = self._newer, self._older, _place(key)
        news = []
        for actor in all_without_account(actors):
            known = newer.get(actor, older.get(actor, place))
            ruled = place if known == place else SEVERAL_TARGETS
            if newer.get(actor) != ruled:
                newer[actor] = ruled
                self._changed = True
                news.append(actor)
        if len(newer) >= RULED_MAX:
            self._older, self._newer = newer, {}
        self._sorted = None
        return news

    def share(self, actors: Iterable[int], key: Key) -> float:
        """Share of actors with a ruling on another target than this key's. There must be at least one actor."""
        newer, older, here = self._newer, self._older, _place(key)
        checked = ruled = 0
        for actor in all_without_account(actors):
            checked += 1
            ruled += newer.get(actor, older.get(actor, here)) != here
        return ruled / checked

    def shares(self, place: NDArray[np.intp], actors: NDArray[np.int64], keys: Sequence[Key]) -> NDArray[np.float64]:
        """As ``share`` for the crowds of many keys. ``place`` is the place of each actor's key; 0.0 without actors.

        >>> from detectors.events.key import key_of
        >>> rulings, keys = Rulings(), [key_of(0, "a"), key_of(0, "b")]
        >>> _ = rulings.note([2, 4], keys[0])
        >>> rulings.shares(np.array([0, 0, 1, 1]), np.array([2, 6, 4, 8]), keys).tolist()
        [0.0, 0.5]
        """
        found = np.zeros(len(keys))
        people = np.maximum(np.bincount(place, minlength=len(keys)), 1)
        if self._sorted is None:
            ruled = np.array([*self._newer, *self._older], np.int64)
            ruled.sort()
            self._sorted = ruled
        if len(self._sorted):
            bare = without_account(actors)
            at = np.minimum(np.searchsorted(self._sorted, bare), len(self._sorted) - 1)
            newer, older = self._newer, self._older
            for known in np.nonzero(self._sorted[at] == bare)[0].tolist():
                actor, row = int(bare[known]), int(place[known])
                found[row] += newer.get(actor, older.get(actor)) != _place(keys[row])
        return found / people

    def with_ruling(self, actors: Sequence[int], key: Key, now_ms: int) -> set[int]:
        """Actors with a ruling on another target than this key's, or with one of the role ``actors`` in force."""
        newer, older, here = self._newer, self._older, _place(key)
        bare = np.fromiter(all_without_account(actors), np.int64, len(actors))
        found = self.conduct.ruled(bare, now_ms)
        return {
            actor
            for actor, hashed, ruled in zip(actors, bare.tolist(), found.tolist(), strict=True)
            if ruled or newer.get(hashed, older.get(hashed, here)) != here
        }

    def take_changed(self) -> bool:
        """Whether there was a new ruling since the last call."""
        changed, self._changed = self._changed, False
        return changed

    def dump(self) -> list[Any]:
        """State as builtins."""
        return [_packed(self._newer), _packed(self._older)]

    def load(self, state: list[Any]) -> None:
        """Load dumped state."""
        self._newer, self._older = (_unpacked(*packed) for packed in state)
        self._sorted = None


def _place(key: Key) -> int:
    """Hash of a key's target, the same for all metrics."""
    return crc32(target_of(key).encode())


def _packed(ruled: dict[int, int]) -> list[bytes]:
    actors, places = np.fromiter(ruled.keys(), "<i8", len(ruled)), np.fromiter(ruled.values(), "<u4", len(ruled))
    return [actors.tobytes(), places.tobytes()]


def _unpacked(actors: bytes, places: bytes) -> dict[int, int]:
    return dict(zip(np.frombuffer(actors, "<i8").tolist(), np.frombuffer(places, "<u4").tolist(), strict=True))
