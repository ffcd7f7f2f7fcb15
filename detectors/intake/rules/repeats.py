"""One actor's acts on one target, too soon after each other or too many in a minute.

**double_click.** The same act again within some seconds is the same act: a double tap, a reload, a client that sends
twice. Thirty seconds is what COUNTER's code of practice and the MRC's guidelines for clicks take. What was watched in
between is another matter: a view of at least two seconds (the MRC's least for a video) that fits between the two makes
them two viewings, and somebody who plays a short clip again is no double click.

**rate.** Nobody does one thing to one target more than thirty times a minute; Wikimedia takes that for automated.
Who comes twice within a minute is counted for a day (``rate_day`` in ``days``).

An act is compared with those before it *in event time*, whatever came first: a tick is judged when it closes, together
with what is kept of the last minute. What is kept is a function of the log's last minute and of nothing before it, so
it is no state: a restore reads that stretch of the log again. What is counted for a day is.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.intake.rules.daily_rate import Days
from detectors.intake.rules.reasons import DOUBLE_CLICK, RATE, RATE_DAY
from detectors.intake.rules.settings import RuleSettings
from detectors.windows.crowd import Packed
from detectors.windows.scales import MINUTE_MS

HORIZON_MS = MINUTE_MS
"""What an act can be compared with is not older than this."""

VIEWING_MS = 2_000
"""Watched for so long, it was a viewing: the MRC's two seconds."""

UNDONE = -2
"""Stands for a watch time where the actor took an act back: what comes next is no repetition of what came before."""

FILTER_SLOTS_PER_ACT = 8
"""Slots of a filter for each act of a tick: so few acts are looked for in vain."""

ACT_BYTES = 20

Keys = NDArray[np.uint64]
_NONE: Keys = np.empty(0, np.uint64)
_NOWHERE: NDArray[np.intp] = np.empty(0, np.intp)
Times = NDArray[np.int64]
Spans = NDArray[np.int32]


class Acts(NamedTuple):
    """Acts of one metric as columns: who did it to what (hashed together), when (epoch ms), how long was watched."""

    keys: Keys
    ts: Times
    spent: Spans
    """ms, -1 not given"""

    def at(self, places: Any) -> Acts:
        """The acts at some places."""
        return Acts(self.keys[places], self.ts[places], self.spent[places])


class Repeats:
    """What one metric of a partition keeps of the last minute.

    ``within_ms`` is how soon the same act is the same, ``per_minute`` how many there may be in a minute; 0 is no limit.
    ``days`` counts who comes often, if that has a limit.
    """

    def __init__(self, within_ms: int, per_minute: int, days: Days | None = None) -> None:
        self._within_ms = within_ms
        self._per_minute = per_minute
        self.days = days
        self._recent: deque[Acts] = deque()
        """by tick"""

    def memory_bytes(self) -> int:
        """About what is in memory."""
        days_bytes = 0 if self.days is None else self.days.memory_bytes()
        return days_bytes + ACT_BYTES * sum(len(acts.keys) for acts in self._recent)

    def judge(
        self, acts: Acts, rows: Packed, start: int, end: int, *, replayed: bool = False
    ) -> dict[str, NDArray[np.intp]]:
        """Places of the tick's acts that are invalid, by reason; keeps what the next ticks need.

        Ticks are judged in order. Acts beyond ``rows`` are undos. Of acts at the same moment the rows decide which was
        first, so that the order in which they came does not. ``replayed`` if a restore judges a tick again, whose acts
        stand in the state.
        """
        while self._recent and int(self._recent[0].ts.max()) < start - HORIZON_MS:
            self._recent.popleft()
        if not len(acts.keys):
            return {}
        try:
            return self._judged(acts, rows, start, None if replayed else self.days)
        finally:  # what is kept must be the same after a restore, which may not meet what has failed here
            late = acts.ts >= end - HORIZON_MS
            if late.any():
                self._recent.append(acts if late.all() else acts.at(late))

    def _judged(self, acts: Acts, rows: Packed, start: int, days: Days | None) -> dict[str, NDArray[np.intp]]:
        if days is not None:
            days.turn(start)
        places, before = self._again(acts.keys, days)
        if not (len(places) and len(rows)):
            return {}
        if days is not None:
            days.follow(np.unique(acts.keys[places]))
        return self._sift(acts, rows, places, before, days)

    def _again(self, keys: Keys, days: Days | None) -> tuple[NDArray[np.intp], list[Acts]]:
        """Where those of a tick are that come again or are followed, and the acts of the ticks before that they made.

        Most come once. Two filters, each of other bits of the keys, leave so few to be put in order and compared that
        it costs a third of putting all in order (measured).
        """
        followed = _NONE if days is None else days.keys
        bits = max(12, (FILTER_SLOTS_PER_ACT * len(keys)).bit_length())
        slots = _slots(keys, bits)
        here, there = np.zeros((2, 1 << bits), np.bool_)
        here[slots], there[_slots(keys, bits, of=1)] = True, True
        maybe = np.zeros(1 << bits, np.bool_)
        last, numbers = np.empty(1 << bits, np.int32), np.arange(len(keys), dtype=np.int32)
        last[slots] = numbers
        maybe[slots[last[slots] != numbers]] = True
        maybe[_slots(followed, bits)] = True
        found = []
        for recent in self._recent:
            theirs = _slots(recent.keys, bits)
            some = np.nonzero(here[theirs])[0]
            some = some[there[_slots(recent.keys[some], bits, of=1)]]
            if len(some):
                maybe[theirs[some]] = True
                found.append(recent.at(some))
        places = np.nonzero(maybe[slots])[0]
        if not len(places):
            return places, []
        wanted, which, counts = np.unique(keys[places], return_inverse=True, return_counts=True)
        again = counts > 1
        again[_found(wanted, followed)[0]] = True
        before = []
        for recent in found:
            mine, theirs = _found(recent.keys, wanted)
            again[theirs] = True
            before.append(recent.at(mine))
        return places[again[which]], before

    def _sift(
        self, acts: Acts, rows: Packed, places: NDArray[np.intp], before: list[Acts], days: Days | None
    ) -> dict[str, NDArray[np.intp]]:
        keys, ts, spent = (np.concatenate(columns) for columns in zip(acts.at(places), *before, strict=True))
        place = np.concatenate([places, np.full(len(keys) - len(places), len(rows))])
        order = np.lexsort((ts, keys))
        if ((keys[order][1:] == keys[order][:-1]) & (ts[order][1:] == ts[order][:-1])).any():
            tie_rows = rows[np.minimum(place, len(rows) - 1)]
            order = np.lexsort((*(tie_rows[name] for name in rows.dtype.names or ()), spent, ts, keys))
        keys, ts, spent, place = keys[order], ts[order], spent[order], place[order]
        same = np.append(False, keys[1:] == keys[:-1])
        gap = np.append(0, np.diff(ts))
        earlier = np.append(-1, spent[:-1])
        act = (place < len(rows)) & (spent != UNDONE)
        # A full minute may be a moment that was rounded: how far two such are apart is not known.
        unknown = same & (gap == 0) & (ts % MINUTE_MS == 0)
        viewed = _fits(spent, gap) | _fits(earlier, gap) | (earlier == UNDONE)
        double = act & same & ~unknown & ~viewed & (gap < self._within_ms)
        hits = {DOUBLE_CLICK: place[double]}
        counted = (spent != UNDONE) & ~unknown
        if self._per_minute:
            number = _numbered(counted, ~same | np.append(True, np.diff(ts // MINUTE_MS) != 0))
            over = act & counted & ~double & (number >= self._per_minute)
            hits[RATE] = place[over]
            double |= over
        if days is not None:
            counted &= act
            pairs = np.nonzero(~same)[0]
            number = _numbered(counted, ~same) + days.counted(keys[pairs])[np.cumsum(~same) - 1]
            hits[RATE_DAY] = place[counted & ~double & (number >= days.per_day)]
            days.count(keys[pairs], np.add.reduceat(counted, pairs, dtype=np.int64))
        return hits


def repeats_of(rules: RuleSettings, metric: int) -> Repeats | None:
    """What a metric is judged by; None if nothing compares its acts."""
    within_ms = 0 if DOUBLE_CLICK in rules.off else round(rules.double_click_seconds[metric] * 1000)
    per_minute = 0 if RATE in rules.off else rules.per_minute
    per_day = 0 if RATE_DAY in rules.off else rules.per_day
    days = Days(per_day) if per_day else None
    return Repeats(within_ms, per_minute, days) if within_ms or per_minute or per_day else None


def _numbered(counted: NDArray[np.bool_], begins: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many were counted before each, since the last place where something begins.

    >>> _numbered(np.array([True, False, True, True]), np.array([True, False, False, True])).tolist()
    [0, 1, 1, 0]
    """
    before: NDArray[np.int64] = np.cumsum(counted) - counted
    before -= before[np.nonzero(begins)[0]][np.cumsum(begins) - 1]
    return before


def _fits(spent: Spans, gap: Times) -> NDArray[np.bool_]:
    """Whether what was watched makes a viewing of its own of what lies between two acts."""
    fits: NDArray[np.bool_] = (spent >= VIEWING_MS) & (spent <= gap)
    return fits


def _slots(keys: Keys, bits: int, *, of: int = 0) -> NDArray[np.int64]:
    """So many of the highest bits of each key, or of those that follow them."""
    slots = keys << np.uint64(bits) if of else keys
    return (slots >> np.uint64(64 - bits)).view(np.int64)  # numpy copies an index of another type


def _found(keys: Keys, among: Keys) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of the keys that are among others, which are different and in order, and their places there.

    >>> [places.tolist() for places in _found(np.array([5, 9, 1], np.uint64), np.array([1, 4, 5], np.uint64))]
    [[0, 2], [2, 0]]
    """
    if not len(among):
        return _NOWHERE, _NOWHERE
    at = np.minimum(np.searchsorted(among, keys), len(among) - 1)
    places = np.nonzero(among[at] == keys)[0]
    return places, at[places]
