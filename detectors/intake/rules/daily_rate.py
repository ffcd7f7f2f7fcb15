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

from array import array
from collections.abc import Collection, Iterable, Sequence, Set
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

PAIR_BYTES = 8 + 8 + 4 + 2 * HOURS + 100
"""Bytes of a followed pair: its columns, and its key and place in a dict."""

Keys = NDArray[np.uint64]

_NO_ACTS = array("H", bytes(2 * HOURS))


class Days:
    """The followed pairs of one metric of a partition: a dict of their places in columns.

    Most calls are about a handful of pairs, for which arrays of NumPy take five times as long.
    """

    def __init__(self, per_day: int) -> None:
        """``per_day`` is the limit of acts in 24 hours, at least 1."""
        self.per_day = per_day
        self._pace_ms = max(1, DAY_MS // per_day)
        self._places: dict[int, int] = {}
        """key → place in the columns"""
        self._keys = array("Q")
        self._due = array("q")
        """epoch ms until which a pair can pause and still be at the pace of the limit since it was followed"""
        self._hours = array("H")
        """acts by hour of the day (UTC) in the last 24 hours: HOURS numbers for each pair"""
        self._counted = array("I")
        """their sum"""
        self._in_order: Keys | None = None
        """the keys in order, None if they must be sorted again"""
        self._now = -1
        self._changed = False

    @property
    def keys(self) -> Keys:
        """The keys of the followed pairs, in order."""
        if self._in_order is None:
            self._in_order = np.sort(np.array(self._keys, np.uint64))
        return self._in_order

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
        keys, due, hours = self._columns()
        hours[:, [past % HOURS for past in range(max(before, hour - HOURS) + 1, hour + 1)]] = 0
        left = hours.any(axis=1) | (due >= (hour - 1) * HOUR_MS)
        self._set(keys[left], due[left], hours[left])
        self._changed = self._changed or not left.all()

    def follow(self, keys: Sequence[int]) -> None:
        """Start to follow pairs (distinct keys, in order) that are not followed yet."""
        fresh = [key for key in keys if key not in self._places][:PAIRS_MAX]
        if not fresh:
            return
        excess = len(self._keys) + len(fresh) - PAIRS_MAX
        if excess > 0:
            self._evict(excess)
        for key in fresh:
            self._places[key] = len(self._keys)
            self._keys.append(key)
            self._due.append(self._now)
            self._hours.extend(_NO_ACTS)
            self._counted.append(0)
        self._changed, self._in_order = True, None

    def _evict(self, count: int) -> None:
        """Drop the pairs furthest behind the pace. The last pair takes the place of each."""
        behind = np.lexsort((np.array(self._keys), np.array(self._due)))[:count]
        for place in sorted(behind.tolist(), reverse=True):
            del self._places[self._keys[place]]
            key, due, counted = self._keys.pop(), self._due.pop(), self._counted.pop()
            hours = self._hours[-HOURS:]
            del self._hours[-HOURS:]
            if place < len(self._keys):
                self._places[key], self._keys[place], self._due[place], self._counted[place] = place, key, due, counted
                self._hours[HOURS * place : HOURS * (place + 1)] = hours

    def followed(self, keys: Set[int]) -> set[int]:
        """Those of these pairs that are followed."""
        return self._places.keys() & keys

    def counted(self, keys: Iterable[int]) -> list[int]:
        """Counted acts of each pair in the last 24 hours, 0 for a pair that is not followed."""
        counted, places = self._counted, map(self._places.get, keys)
        return [0 if place is None else counted[place] for place in places]

    def count(self, keys: Iterable[int], acts: Iterable[int]) -> None:
        """Add acts of distinct pairs. Acts of pairs that are not followed are ignored."""
        hours, counted, due, hour = self._hours, self._counted, self._due, self._now // HOUR_MS % HOURS
        latest = self._now + DAY_MS  # by then all counted hours have been dropped
        for key, more in zip(keys, acts, strict=True):
            place = self._places.get(key)
            if place is None or not more:
                continue
            # A pair that starts with two acts at once earns no more than one with a single act: most are double clicks.
            earned = (more if counted[place] else 1) * self._pace_ms
            due[place] = min(due[place] + earned, latest)
            at = HOURS * place + hour
            fitting = min(more, HOUR_MAX - hours[at])
            hours[at] += fitting
            counted[place] += fitting
            self._changed = True

    def _columns(self) -> tuple[Keys, NDArray[np.int64], NDArray[np.uint16]]:
        """Copies of the columns, sorted by key."""
        keys, due = np.array(self._keys, np.uint64), np.array(self._due, np.int64)
        hours = np.array(self._hours, np.uint16).reshape(-1, HOURS)
        order = np.argsort(keys)
        return keys[order], due[order], hours[order]

    def _set(self, keys: Keys, due: NDArray[np.int64], hours: NDArray[np.uint16]) -> None:
        self._keys, self._due = array("Q", keys.tobytes()), array("q", due.tobytes())
        self._hours = array("H", hours.tobytes())
        self._counted = array("I", hours.sum(axis=1, dtype=np.uint32).tobytes())
        self._places = {key: place for place, key in enumerate(keys.tolist())}
        self._in_order = None

    def broken_off(self) -> None:
        """Handle a failure half way: the state in memory, whatever has changed of it, is stored next."""
        self._changed = True

    # ---------------------------------------------------------------- state

    def take_changed(self) -> Any:
        """The whole state as msgspec-encodable builtins, None if nothing has changed since the last call."""
        if not self._changed:
            return None
        self._changed = False
        columns = (compress(part.tobytes(), 1) for part in self._columns())
        return {"now": self._now, "columns": list(columns)}

    def load(self, state: Any) -> None:
        """Load the result of ``take_changed``."""
        keys, due, hours = map(decompress, state["columns"])
        self._now = int(state["now"])
        self._set(
            np.frombuffer(keys, np.uint64),
            np.frombuffer(due, np.int64),
            np.frombuffer(hours, np.uint16).reshape(-1, HOURS),
        )


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
