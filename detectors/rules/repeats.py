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
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.rules.days import Days
from detectors.rules.reasons import DOUBLE_CLICK, RATE, RATE_DAY
from detectors.rules.settings import RuleSettings
from detectors.windows import MINUTE_MS, Packed

HORIZON_MS = MINUTE_MS
"""What an act can be compared with is not older than this."""

VIEWING_MS = 2_000
"""Watched for so long, it was a viewing: the MRC's two seconds."""

UNDONE = -2
"""Stands for a watch time where the actor took an act back: what comes next is no repetition of what came before."""

ROOM = 8
"""Slots of the filter for each act that is kept: so few acts are looked for in vain."""

ACT_BYTES = 20

Keys = NDArray[np.uint64]
_NONE: Keys = np.empty(0, np.uint64)
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
        self._kept: deque[Acts] = deque()
        """by tick, in order of keys"""

    def held_bytes(self) -> int:
        """About what is in memory."""
        held = 0 if self.days is None else self.days.held_bytes()
        return held + ACT_BYTES * sum(len(acts.keys) for acts in self._kept)

    def judge(
        self, acts: Acts, rows: Packed, start: int, end: int, *, replayed: bool = False
    ) -> dict[str, NDArray[np.intp]]:
        """Places of the tick's acts that are invalid, by reason; keeps what the next ticks need.

        Ticks are judged in order. Acts beyond ``rows`` are undos. Of acts at the same moment the rows decide which was
        first, so that the order in which they came does not. ``replayed`` if a restore judges a tick again, whose acts
        stand in the state.
        """
        while self._kept and int(self._kept[0].ts.max()) < start - HORIZON_MS:
            self._kept.popleft()
        if not len(acts.keys):
            return {}
        days = None if replayed else self.days
        if days is not None:
            days.turn(start)
        order = np.argsort(acts.keys)
        keys = acts.keys[order]
        heads = np.nonzero(np.append(True, keys[1:] != keys[:-1]))[0]
        counts = np.diff(np.append(heads, len(keys)))
        again = counts > 1
        before = list(self._before(keys[heads], again, days))
        hits: dict[str, NDArray[np.intp]] = {}
        if again.any() and len(rows):
            if days is not None:
                days.follow(keys[heads[again]])
            hits = self._sift(acts, rows, order[np.repeat(again, counts)], before, days)
        late = acts.ts[order] >= end - HORIZON_MS
        if late.any():
            self._kept.append(acts.at(order if late.all() else order[late]))
        return hits

    def _before(self, keys: Keys, again: NDArray[np.bool_], days: Days | None) -> Iterator[Acts]:
        """Acts of the ticks before with one of these keys (in order). Marks keys that have some, or are followed."""
        followed = _NONE if days is None else days.keys
        if not (self._kept or len(followed)):
            return
        bits = max(12, int(ROOM * (len(followed) + sum(len(kept.keys) for kept in self._kept))).bit_length())
        shift, met = np.uint64(64 - bits), np.zeros(1 << bits, np.bool_)
        for others in (*(kept.keys for kept in self._kept), followed):
            met[others >> shift] = True
        places = np.nonzero(met[keys >> shift])[0]
        wanted = keys[places]
        if len(followed):
            at = np.minimum(np.searchsorted(followed, wanted), len(followed) - 1)
            again[places[followed[at] == wanted]] = True
        for kept in self._kept:
            left = np.searchsorted(kept.keys, wanted, "left")
            found = np.searchsorted(kept.keys, wanted, "right") - left
            some = np.nonzero(found)[0]
            if len(some):
                again[places[some]] = True
                yield kept.at(_ranges(left[some], found[some]))

    def _sift(
        self, acts: Acts, rows: Packed, places: NDArray[np.intp], before: list[Acts], days: Days | None
    ) -> dict[str, NDArray[np.intp]]:
        keys, ts, spent = (np.concatenate(columns) for columns in zip(acts.at(places), *before, strict=True))
        place = np.concatenate([places, np.full(len(keys) - len(places), len(rows))])
        order = np.lexsort((ts, keys))
        if ((keys[order][1:] == keys[order][:-1]) & (ts[order][1:] == ts[order][:-1])).any():
            told = rows[np.minimum(place, len(rows) - 1)]
            order = np.lexsort((*(told[name] for name in rows.dtype.names or ()), spent, ts, keys))
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


def _ranges(starts: NDArray[np.intp], lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    """All indices of some ranges.

    >>> _ranges(np.array([3, 8]), np.array([2, 3])).tolist()
    [3, 4, 8, 9, 10]
    """
    ends = np.cumsum(lengths)
    indices: NDArray[np.intp] = np.arange(ends[-1]) + np.repeat(starts - (ends - lengths), lengths)
    return indices
