"""Accounts that replay a target by a program, as this partition was informed of them (``controls.Replayed``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.controls import Replayed
from detectors.events.actor import all_without_account, with_account
from detectors.events.event import MAX_TS_MS

REPLAYS_MAX = 32_768
"""Most pairs of actor and target, some 100 bytes each. Beyond that those that expire first are dropped."""


class InForce(NamedTuple):
    """The findings that are in force for some time."""

    targets: Mapping[str, frozenset[int]]
    """target → actors, without the account bit"""
    actors: NDArray[np.int64]
    """all of them, with and without the account bit, in order: an account may come without its age"""
    until: int
    """when the first of them expires"""


class ReplayRulings:
    """Target → actor → until when this actor's views of the target are those of a program."""

    def __init__(self) -> None:
        self._targets: dict[str, dict[int, int]] = {}
        self._size = 0
        self._changed = False
        self._in_force: InForce | None = None
        """what ``in_force`` returned last, until it changes"""

    def __len__(self) -> int:
        return self._size

    def note(self, record: Replayed) -> None:
        """Take a record. What has expired by its time is dropped.

        >>> replays = ReplayRulings()
        >>> replays.note(Replayed(0, "v", 1000, [2, 4])); replays.note(Replayed(10, "v", 2000, [4])); len(replays)
        2
        >>> replays.note(Replayed(1000, "w", 3000, [6])); len(replays)
        2
        """
        self._changed, self._in_force = True, None
        self._drop(record.at)
        actors = self._targets.setdefault(record.target, {})
        for actor in all_without_account(record.actors):
            actors[actor] = max(record.until, actors.get(actor, 0))
        self._size = sum(map(len, self._targets.values()))
        if self._size > REPLAYS_MAX:
            ends = sorted(until for some in self._targets.values() for until in some.values())
            self._drop(ends[self._size - REPLAYS_MAX - 1])

    def _drop(self, now_ms: int) -> None:
        for target, actors in list(self._targets.items()):
            left = {actor: until for actor, until in actors.items() if until > now_ms}
            if left:
                self._targets[target] = left
            else:
                del self._targets[target]
        self._size = sum(map(len, self._targets.values()))

    def in_force(self, now_ms: int) -> InForce:
        """What is in force at a time, which never goes back.

        >>> replays = ReplayRulings()
        >>> replays.note(Replayed(0, "v", 1000, [2, 4]))
        >>> replays.in_force(999).actors.tolist(), replays.in_force(1000).actors.tolist()
        ([2, 3, 4, 5], [])
        """
        if self._in_force is None or self._in_force.until <= now_ms:
            self._in_force = self._at(now_ms)
        return self._in_force

    def _at(self, now_ms: int) -> InForce:
        targets, ends, bare = dict[str, frozenset[int]](), [MAX_TS_MS], set[int]()
        for target, actors in self._targets.items():
            left = [actor for actor, until in actors.items() if until > now_ms]
            if left:
                targets[target] = frozenset(left)
                ends += [actors[actor] for actor in left]
                bare.update(left)
        both = [*bare, *(with_account(actor, given=True) for actor in bare)]
        return InForce(targets, np.array(sorted(both), np.int64), min(ends))

    def take_changed(self) -> bool:
        """Whether a record has come since the last call."""
        changed, self._changed = self._changed, False
        return changed

    def dump(self) -> list[Any]:
        """State as builtins: (target, actors, until when), in the order of targets."""
        return [[target, list(some), list(some.values())] for target, some in sorted(self._targets.items())]

    def load(self, state: Any) -> None:
        """Load dumped state."""
        self._targets = {target: dict(zip(actors, until, strict=True)) for target, actors, until in state}
        self._in_force = None
        self._size = sum(map(len, self._targets.values()))
