"""Counts the acts of one actor on one target in the last 24 hours.

**rate_day.** Wikimedia treats more than 800 page views of one actor in a day as automated. Here the limit is for one
actor and *one target*: a song of three and a half minutes that plays day and night has 411 plays, a one-minute clip
1,440.

There are too many pairs of actor and target to count all. A pair is followed from the moment at which it acts faster
than the limit allows all day: twice within a minute (``Repeats``), or three times within five minutes, as every pair
that exceeds the limit does at least once a day (``often``). From then on its acts are counted by hour, in the current
hour and the 23 before it, which is at most a day. So a count may be too low, by the acts before the pair was followed
and by up to an hour. It is never too high: a pair within the limit is never caught.

When the table is full, the pairs furthest behind the pace of the limit are evicted: each act earns the part of a day
that the limit grants it. The table depends on the ticks of a whole day, so it is stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from typing import Any
from zlib import compress, crc32, decompress

import numpy as np
from numpy.typing import NDArray

from detectors.events.actor import WITHOUT_ACCOUNT, without_account
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS

PAIRS_MAX = 4096
"""Most followed pairs of one metric and partition: 670 kB in memory; stored are 262 kB, most of it zeros."""

HOURS = 24
HOUR_MAX = (1 << 16) - 1

PAIR_BYTES = 8 + 8 + 2 * HOURS + 100
"""Bytes of a followed pair: its columns, and its key in a set."""

Keys = NDArray[np.uint64]
Counts = NDArray[np.int64]


_NOWHERE: NDArray[np.intp] = np.array((), np.intp)


class Days:
    """The followed pairs of one metric of a partition, as columns sorted by key."""

    def __init__(self, per_day: int) -> None:
        """``per_day`` is the limit of acts in 24 hours, at least 1."""
        self.per_day = per_day
        self._pace_ms = max(1, DAY_MS // per_day)
        self._keys: Keys = np.empty(0, np.uint64)
        self._followed: set[int] = set()
        """the same keys, to ask for a few of them"""
        self._due: Counts = np.empty(0, np.int64)
        """epoch ms until which a pair can pause and still be at the pace of the limit since it was followed"""
        self._hours: NDArray[np.uint16] = np.empty((0, HOURS), np.uint16)
        """acts by hour of the day (UTC) in the last 24 hours"""
        self._now = -1
        self._changed = False

    @property
    def keys(self) -> Keys:
        """The keys of the followed pairs, in order."""
        return self._keys

    @property
    def often(self) -> int:
        """Acts within five minutes that every pair above the limit reaches at least once in 24 hours; at least 2."""
        windows = DAY_MS // (5 * MINUTE_MS) + 1  # windows that overlap 24 hours
        return max(2, -(-(self.per_day + 1) // windows))

    def memory_bytes(self) -> int:
        """Estimated bytes in memory."""
        return PAIR_BYTES * len(self._keys)

    def turn(self, now_ms: int) -> None:
        """Move the time to ``now_ms``, which never goes back. Later calls refer to this time.

        Drops hours older than a day, and pairs without others. When in an hour it is called does not matter.
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
        """Start to follow pairs (distinct keys, in order) that are not followed yet."""
        if self._followed.issuperset(keys.tolist()):
            return
        new = np.ones(len(keys), np.bool_)
        new[self._found(keys)[0]] = False
        fresh = keys[new][:PAIRS_MAX]
        excess = len(self._keys) + len(fresh) - PAIRS_MAX
        if excess > 0:
            left = np.ones(len(self._keys), np.bool_)
            left[np.lexsort((self._keys, self._due))[:excess]] = False
            self._select(left)
        places = np.searchsorted(self._keys, fresh)
        self._keys = np.insert(self._keys, places, fresh)
        self._followed.update(fresh.tolist())
        self._due = np.insert(self._due, places, self._now)
        self._hours = np.insert(self._hours, places, 0, axis=0)
        self._changed = True

    def followed(self, keys: Set[int]) -> set[int]:
        """Those of these pairs that are followed."""
        return self._followed.intersection(keys)

    def counted(self, keys: Keys) -> Counts:
        """Counted acts of each pair in the last 24 hours, 0 for a pair that is not followed."""
        totals = np.zeros(len(keys), np.int64)
        known, at = self._found(keys)
        totals[known] = self._hours[at].sum(axis=1)
        return totals

    def count(self, keys: Keys, acts: Counts) -> None:
        """Add acts of distinct pairs. Acts of pairs that are not followed are ignored."""
        acting = np.nonzero(acts)[0]
        known, at = self._found(keys[acting])
        if not len(known):
            return
        acts = acts[acting][known]
        hour = self._now // HOUR_MS % HOURS
        # A pair that starts with two acts at once earns no more than one with a single act: most are double clicks.
        earned = np.where(self._hours[at].any(axis=1), acts, 1) * self._pace_ms
        self._hours[at, hour] = np.minimum(self._hours[at, hour] + acts, HOUR_MAX)
        # At most a day ahead: by then all counted hours have been dropped.
        self._due[at] = np.minimum(self._due[at] + earned, self._now + DAY_MS)
        self._changed = True

    def _found(self, keys: Keys) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Places of the keys that are followed, and their places in the table."""
        if not len(self._keys):
            return _NOWHERE, _NOWHERE
        at = np.minimum(self._keys.searchsorted(keys), len(self._keys) - 1)
        known = np.nonzero(self._keys[at] == keys)[0]
        return known, at[known]

    def _select(self, left: NDArray[np.bool_]) -> None:
        self._followed.difference_update(self._keys[~left].tolist())
        self._keys, self._due, self._hours = self._keys[left], self._due[left], self._hours[left]
        self._changed = True

    def broken_off(self) -> None:
        """Handle a failure half way: the state in memory, whatever has changed of it, is stored next."""
        self._changed = True

    # ---------------------------------------------------------------- state

    def take_changed(self) -> Any:
        """The whole state as msgspec-encodable builtins, None if nothing has changed since the last call."""
        if not self._changed:
            return None
        self._changed = False
        columns = (compress(part.tobytes(), 1) for part in (self._keys, self._due, self._hours))
        return {"now": self._now, "columns": list(columns)}

    def load(self, state: Any) -> None:
        """Load the result of ``take_changed``."""
        keys, due, hours = map(decompress, state["columns"])
        self._now = int(state["now"])
        self._keys, self._due = np.frombuffer(keys, np.uint64), np.frombuffer(due, np.int64).copy()
        self._followed = set(self._keys.tolist())
        self._hours = np.frombuffer(hours, np.uint16).reshape(-1, HOURS).copy()


def marks_of(targets: Collection[str]) -> Keys:
    """The part of targets in the keys of pairs: their CRC-32, spread over 64 bits."""
    return np.fromiter(map(crc32, map(str.encode, targets)), np.uint64, len(targets)) * _ODD


def pairs_of(actors: NDArray[np.int64], marks: Keys) -> Keys:
    """Keys of pairs, from actors (without the account bit) and the marks of their targets."""
    pairs: Keys = without_account(actors).view(np.uint64) ^ marks
    return pairs


def pairs_of_few(actors: Iterable[int], targets: Iterable[str]) -> list[int]:
    """As ``pairs_of`` for the actors and targets of a few events.

    >>> pairs_of_few([9, 8], ["v1", "v2"]) == pairs_of(np.array([9, 8]), marks_of(["v1", "v2"])).tolist()
    True
    """
    return [
        (actor & WITHOUT_ACCOUNT) ^ (crc32(target.encode()) * _ODD_NUMBER & _WORD)
        for actor, target in zip(actors, targets, strict=True)
    ]


_ODD_NUMBER = 0x9E3779B97F4A7C15
_ODD = np.uint64(_ODD_NUMBER)
_WORD = (1 << 64) - 1
