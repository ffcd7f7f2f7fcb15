"""Rulings of the role ``actors`` on what accounts do, as this partition has received them (``controls.Ruled``).

The part of a crowd with such rulings is evidence about *who* came. A ruling counts by its score, so that an address or
a guest id, which has at most half of the score of an account, counts half.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.controls import AUTOMATED, EMPTY, SELLER, Ruled
from detectors.events.actor import with_account, without_account
from detectors.events.event import MAX_TS_MS

COUNTED = (AUTOMATED, EMPTY, SELLER)
"""Rulings that are evidence. People and dormant accounts are none, and rules remove declared robots."""

CONDUCT_MAX = 32_768
"""Most rulings, 19 bytes each. Beyond that those that expire first are dropped."""

AUTOMATED_MIN = 50
"""Least score of a ruling ``automated`` by which the actor's events are invalid one by one: that of a session whose
conduct is evidence. Addresses have less: many people may be behind one."""

SELLER_MIN = 60
"""Least score of a ruling ``seller`` by which the actor's earlier events may be condemned (``verdict.sellers``):
accounts have it, addresses and guest ids have less."""

UNKNOWN_KIND = -1
"""In place of a kind: a ruling that was stored without it."""

SCORE_MAX = 100.0
"""Score of a certain ruling."""


class ConductRulings:
    """Actor → score and expiry of the latest ruling that counts."""

    def __init__(self) -> None:
        self._actors = np.empty(0, np.int64)
        """hashes without the account bit, in order"""
        self._until = np.empty(0, np.int64)
        self._scores = np.empty(0, np.int16)
        self._kinds = np.empty(0, np.int8)
        self._automated: NDArray[np.int64] | None = None
        self._sellers: tuple[int, frozenset[int]] | None = None
        """when the first of them expires, and what ``sellers`` returned last"""
        self._changed = False
        self.received = False
        """whether any ruling has ever come: without the role ``actors`` the feature is absent"""

    def __len__(self) -> int:
        return len(self._actors)

    def note(self, record: Ruled) -> None:
        """Take rulings that are new or have changed. What no longer counts is dropped.

        >>> rulings = ConductRulings()
        >>> rulings.note(Ruled(0, [2, 4], [AUTOMATED, SELLER], [100, 50], [1000, 1000])); len(rulings)
        2
        >>> rulings.note(Ruled(10, [4], [SELLER], [0], [10])); len(rulings)
        1
        """
        self.received = self._changed = True
        actors = without_account(np.array(record.actors, np.int64))
        until, kinds = np.array(record.until, np.int64), np.array(record.kinds, np.int64)
        scores = np.clip(np.array(record.scores, np.int64), 0, int(SCORE_MAX)).astype(np.int16)
        actors, last = np.unique(actors[::-1], return_index=True)  # of several rulings on an actor the last one
        last = len(kinds) - 1 - last
        counts = np.isin(kinds[last], COUNTED) & (until[last] > record.at) & (scores[last] > 0)
        kept = ~np.isin(self._actors, actors) & (self._until > record.at)
        self._actors = np.concatenate([self._actors[kept], actors[counts]])
        self._until = np.concatenate([self._until[kept], until[last][counts]])
        self._scores = np.concatenate([self._scores[kept], scores[last][counts]])
        self._kinds = np.concatenate([self._kinds[kept], kinds[last][counts].astype(np.int8)])
        if len(self._actors) > CONDUCT_MAX:
            self._select(np.lexsort((self._actors, self._until))[-CONDUCT_MAX:])
        self._select(np.argsort(self._actors))

    def _select(self, places: NDArray[np.intp]) -> None:
        self._actors, self._until = self._actors[places], self._until[places]
        self._scores, self._kinds = self._scores[places], self._kinds[places]
        self._automated = self._sellers = None

    def automated(self, now_ms: int) -> NDArray[np.int64]:
        """Actors, in order, whose acts are those of a program by a ruling in force.

        >>> rulings = ConductRulings()
        >>> rulings.note(Ruled(0, [6, 4, 2], [AUTOMATED, AUTOMATED, SELLER], [60, 40, 90], [1000, 1000, 1000]))
        >>> rulings.automated(999).tolist(), rulings.automated(1000).tolist()
        ([6], [])
        """
        if self._automated is None:
            self._automated = np.flatnonzero((self._kinds == AUTOMATED) & (self._scores >= AUTOMATED_MIN))
        if not len(self._automated):  # as nearly always: this is asked at every tick
            return self._automated
        return self._actors[self._automated[self._until[self._automated] > now_ms]]

    def sellers(self, now_ms: int) -> frozenset[int]:
        """Actors, with and without the account bit, that are a seller's accounts by a ruling in force.

        ``now_ms`` never goes back.

        >>> rulings = ConductRulings()
        >>> rulings.note(Ruled(0, [6, 4, 2], [SELLER, SELLER, AUTOMATED], [90, 50, 90], [1000, 1000, 1000]))
        >>> sorted(rulings.sellers(999)), sorted(rulings.sellers(1000))
        ([6, 7], [])
        """
        if self._sellers is None or self._sellers[0] <= now_ms:
            found = (self._kinds == SELLER) & (self._scores >= SELLER_MIN) & (self._until > now_ms)
            bare = self._actors[found]
            actors = frozenset([*bare.tolist(), *with_account(bare, given=True).tolist()])
            self._sellers = int(self._until[found].min(initial=MAX_TS_MS)), actors
        return self._sellers[1]

    def shares(
        self, place: NDArray[np.intp], actors: NDArray[np.int64], windows: int, now_ms: int
    ) -> NDArray[np.float64]:
        """The share of each window's people with a ruling, each by its score. ``place`` is the window of each actor.

        >>> rulings = ConductRulings()
        >>> rulings.note(Ruled(0, [2, 4], [AUTOMATED, EMPTY], [100, 50], [1000, 1000]))
        >>> rulings.shares(np.array([0, 0, 1]), np.array([3, 4, 6]), 2, 999).tolist()
        [0.75, 0.0]
        """
        people = np.maximum(np.bincount(place, minlength=windows), 1)
        if not len(self._actors):
            return np.zeros(windows)
        bare = without_account(actors)
        at = np.minimum(np.searchsorted(self._actors, bare), len(self._actors) - 1)
        return np.bincount(place, np.where(self.ruled(bare, now_ms), self._scores[at], 0) / SCORE_MAX, windows) / people

    def ruled(self, actors: NDArray[np.int64], now_ms: int) -> NDArray[np.bool_]:
        """Which actors (hashes without the account bit) have a ruling in force that counts.

        >>> rulings = ConductRulings()
        >>> rulings.note(Ruled(0, [2, 4], [AUTOMATED, EMPTY], [100, 50], [1000, 500]))
        >>> rulings.ruled(np.array([4, 2, 6]), 500).tolist()
        [False, True, False]
        """
        if not len(self._actors):
            return np.zeros(len(actors), np.bool_)
        at = np.minimum(np.searchsorted(self._actors, actors), len(self._actors) - 1)
        return np.asarray((self._actors[at] == actors) & (self._until[at] > now_ms))

    def take_changed(self) -> bool:
        """Whether a ruling has come since the last call."""
        changed, self._changed = self._changed, False
        return changed

    def dump(self) -> list[bytes]:
        """State as builtins."""
        columns = (self._actors, "<i8"), (self._until, "<i8"), (self._scores, "<i2"), (self._kinds, "<i1")
        return [column.astype(form).tobytes() for column, form in columns]

    def load(self, state: Any) -> None:
        """Load dumped state."""
        actors, until, scores, *kinds = state
        self._actors, self._until = np.frombuffer(actors, "<i8").astype(np.int64), np.frombuffer(until, "<i8")
        self._scores = np.frombuffer(scores, "<i2").astype(np.int16)
        self._until = self._until.astype(np.int64)
        unknown = np.full(len(self._actors), UNKNOWN_KIND, np.int8)
        self._kinds = np.frombuffer(kinds[0], "<i1").astype(np.int8) if kinds else unknown
        self._automated = self._sellers = None
        self.received = True
