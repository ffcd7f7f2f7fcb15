"""How often one actor has acted on one target in the last 24 hours.

**rate_day.** Wikimedia takes more than 800 page views of one actor in a day for automated. Here it is of one actor on
*one target*: a song of three and a half minutes that plays day and night comes 411 times, a clip of a minute 1,440.

Nobody could keep every pair of a day. A pair is followed from the moment at which it comes as often as the bound allows
no pair to come all day: a second time within a minute (``Repeats``), or thrice within five minutes, as everybody who
exceeds the bound does in some five minutes of the day (``often``). From then on its acts are counted in hours,
that is in the hour at hand and the 23 before it, which is at most a day. So a count may be too low, by what came before
the pair was followed and by up to an hour, and is never too high: nobody is caught who has not exceeded the bound.

When there is no room left, those leave who are furthest behind the pace of the bound since they came: each act earns
the part of a day that the bound grants it. What is kept depends on the ticks of a whole day, so it is state.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from zlib import compress, crc32, decompress

import numpy as np
from numpy.typing import NDArray

from detectors.events.actor import without_account
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS

PAIRS_MAX = 4096
"""Pairs of one metric and partition that are followed: 262 kB, of which most is zeros where it is stored."""

HOURS = 24
HOUR_MAX = (1 << 16) - 1

PAIR_BYTES = 8 + 8 + 2 * HOURS

Keys = NDArray[np.uint64]
Counts = NDArray[np.int64]


class Days:
    """The pairs of one metric of a partition that come often, as columns in order of their keys."""

    def __init__(self, per_day: int) -> None:
        """``per_day`` is how many acts there may be in 24 hours, 1 or more."""
        self.per_day = per_day
        self._pace_ms = max(1, DAY_MS // per_day)
        self._keys: Keys = np.empty(0, np.uint64)
        self._due: Counts = np.empty(0, np.int64)
        """until when, in epoch ms, a pair could rest and still be at the pace of the bound since it came"""
        self._hours: NDArray[np.uint16] = np.empty((0, HOURS), np.uint16)
        """acts by hour of the day (UTC), of the last 24"""
        self._now = -1
        self._changed = False

    @property
    def keys(self) -> Keys:
        """The pairs that are followed, in order."""
        return self._keys

    @property
    def often(self) -> int:
        """So many acts in five minutes has whoever exceeds the bound at least once in 24 hours; never under 2."""
        windows = DAY_MS // (5 * MINUTE_MS) + 1  # that 24 hours have a part of
        return max(2, -(-(self.per_day + 1) // windows))

    def memory_bytes(self) -> int:
        """About what is in memory."""
        return PAIR_BYTES * len(self._keys)

    def turn(self, now_ms: int) -> None:
        """Let time go on to ``now_ms``, which never goes back: what follows is of then.

        Hours of yesterday are forgotten, and pairs that have no others; the same whenever in an hour it is called.
        """
        hour, before = now_ms // HOUR_MS, self._now // HOUR_MS
        self._now = now_ms
        if hour == before:
            return
        self._hours[:, [past % HOURS for past in range(max(before, hour - HOURS) + 1, hour + 1)]] = 0
        left = self._hours.any(axis=1) | (self._due >= (hour - 1) * HOUR_MS)
        if not left.all():
            self._select(left)

    def follow(self, keys: Keys) -> None:
        """Begin to count pairs (different ones, in order) that are not followed yet."""
        fresh = keys[~self._has(keys)][:PAIRS_MAX]
        if not len(fresh):
            return
        excess = len(self._keys) + len(fresh) - PAIRS_MAX
        if excess > 0:
            left = np.ones(len(self._keys), np.bool_)
            left[np.lexsort((self._keys, self._due))[:excess]] = False
            self._select(left)
        places = np.searchsorted(self._keys, fresh)
        self._keys = np.insert(self._keys, places, fresh)
        self._due = np.insert(self._due, places, self._now)
        self._hours = np.insert(self._hours, places, 0, axis=0)
        self._changed = True

    def counted(self, keys: Keys) -> Counts:
        """Acts of each pair in the last 24 hours as far as they were followed, 0 for a pair that is not."""
        totals = np.zeros(len(keys), np.int64)
        known = np.nonzero(self._has(keys))[0]
        totals[known] = self._hours[np.searchsorted(self._keys, keys[known])].sum(axis=1)
        return totals

    def count(self, keys: Keys, acts: Counts) -> None:
        """Add acts of different pairs. Those of a pair that is not followed are let go."""
        known = np.nonzero(self._has(keys) & (acts > 0))[0]
        if not len(known):
            return
        at, acts = np.searchsorted(self._keys, keys[known]), acts[known]
        hour = self._now // HOUR_MS % HOURS
        # Who begins with two acts at once earns no more than who begins with one: most of those only clicked twice.
        earned = np.where(self._hours[at].any(axis=1), acts, 1) * self._pace_ms
        self._hours[at, hour] = np.minimum(self._hours[at, hour] + acts, HOUR_MAX)
        # At most a day ahead: when it is over, so are all hours that were counted.
        self._due[at] = np.minimum(self._due[at] + earned, self._now + DAY_MS)
        self._changed = True

    def _has(self, keys: Keys) -> NDArray[np.bool_]:
        if not len(self._keys):
            return np.zeros(len(keys), np.bool_)
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.asarray(self._keys[places] == keys)

    def _select(self, left: NDArray[np.bool_]) -> None:
        self._keys, self._due, self._hours = self._keys[left], self._due[left], self._hours[left]
        self._changed = True

    def broken_off(self) -> None:
        """Something has failed half way: what is in memory now is the state, whatever of it has changed."""
        self._changed = True

    # ---------------------------------------------------------------- state

    def take_changed(self) -> Any:
        """All that is known as msgspec-encodable builtins, None if nothing has changed since the last call."""
        if not self._changed:
            return None
        self._changed = False
        columns = (compress(part.tobytes(), 1) for part in (self._keys, self._due, self._hours))
        return {"now": self._now, "columns": list(columns)}

    def load(self, state: Any) -> None:
        """Take what ``take_changed`` gave."""
        keys, due, hours = map(decompress, state["columns"])
        self._now = int(state["now"])
        self._keys, self._due = np.frombuffer(keys, np.uint64), np.frombuffer(due, np.int64).copy()
        self._hours = np.frombuffer(hours, np.uint16).reshape(-1, HOURS).copy()


def marks_of(targets: Collection[str]) -> Keys:
    """What tells targets apart in the keys of pairs: their CRC-32, spread over 64 bits."""
    return np.fromiter(map(crc32, map(str.encode, targets)), np.uint64, len(targets)) * _ODD


def pairs_of(actors: NDArray[np.int64], marks: Keys) -> Keys:
    """Keys of pairs: of an actor, whether its account is known or not, and the mark of its target."""
    pairs: Keys = without_account(actors).view(np.uint64) ^ marks
    return pairs


_ODD = np.uint64(0x9E3779B97F4A7C15)
