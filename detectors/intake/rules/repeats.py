"""Finds acts of one actor on one target that come too soon after each other, or too often in a minute.

**double_click.** The same act within some seconds is a repetition: a double tap, a reload, a client that sends twice.
Thirty seconds is the limit of COUNTER's code of practice and of the MRC's guidelines for clicks. A view with a watch
time of at least two seconds (the MRC's minimum for a video) that fits between two acts makes them two viewings:
replaying a short clip is no double click.

**rate.** More than thirty acts on one target in a minute are automated, as Wikimedia judges. Pairs of actor and target
with two acts within a minute are counted over a day (``rate_day`` in ``daily_rate``).

Acts are compared in *event time*, not in arrival order: a tick is judged when it closes, together with the acts of the
minute before it. These depend on the last minute of the log only, so they are not stored: a restore replays that part
of the log. The daily counts are stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.intake.rules.acts import UNDONE, Acts, FewAct, Keys, Spans, TickActs, Times
from detectors.intake.rules.daily_rate import Days
from detectors.intake.rules.reasons import DOUBLE_CLICK, RATE, RATE_DAY
from detectors.intake.rules.settings import RuleSettings
from detectors.windows.crowd import Packed
from detectors.windows.scales import MINUTE_MS

HORIZON_MS = MINUTE_MS
"""Acts older than this are not compared with."""

VIEWING_MS = 2_000
"""Least watch time of a viewing: the MRC's two seconds."""

FILTER_SLOTS_PER_ACT = 8
"""With so many slots per act of a tick, false positives of the filter are rare."""

FEW_AGAIN = 64
"""Most pairs that act again which are compared without arrays: below, it takes less time so (measured)."""

Hits = dict[str, NDArray[np.intp]]
"""Reason → places of invalid acts."""
_NONE: Keys = np.array((), np.uint64)
_NOWHERE: NDArray[np.intp] = np.array((), np.intp)


class _Again(NamedTuple):
    """Pairs of a tick that must be looked at."""

    repeated: set[int]
    """with another act within HORIZON_MS"""
    before: list[tuple[TickActs, frozenset[int]]]
    """earlier ticks, and which of the repeated pairs acted in them"""
    followed: set[int]
    """the others that are followed: with one act, of which only the number in a day matters"""


class Repeats:
    """The rules of one metric of a partition, with its acts of the last minute.

    ``within_ms`` is the time within which an act is a repetition, ``per_minute`` the limit in a minute; 0 is no limit.
    ``days`` counts frequent pairs over a day, if that has a limit.
    """

    def __init__(self, within_ms: int, per_minute: int, days: Days | None = None) -> None:
        self._within_ms = within_ms
        self._per_minute = per_minute
        self.days = days
        self._recent: deque[TickActs] = deque()
        """by tick"""

    def memory_bytes(self) -> int:
        """Estimated bytes in memory."""
        days_bytes = 0 if self.days is None else self.days.memory_bytes()
        return days_bytes + sum(acts.memory_bytes() for acts in self._recent)

    def judge(
        self, acts: TickActs, rows: Callable[[], Packed], start: int, end: int, *, replayed: bool = False
    ) -> Hits:
        """Find the tick's invalid acts. Stores the acts that the next ticks are compared with.

        Ticks are judged in order. ``rows`` is called if a pair acts again, and returns the rows of the acts. Acts
        beyond them are undos. Acts of the same moment are ordered by their rows, so that arrival order does not matter.
        ``replayed``: a restore judges the tick again, and the daily counts already contain its acts.
        """
        self._forget(start)
        if not len(acts):
            return {}
        try:
            days = None if replayed else self.days
            if days is not None:
                days.turn(start)
            again = self._pairs_again(acts, days)
            if again is None:
                return self._judged(acts.columns, rows(), days)
            if not (again.repeated or again.followed) or acts.only_undone():
                return {}
            hits = self._judged_few(acts, again, rows, days) if again.repeated else {}
            if again.followed and days is not None:
                over = _over_the_day(acts, again.followed, days)
                if over:
                    hits.setdefault(RATE_DAY, []).extend(over)
            return {reason: np.array(places, np.intp) for reason, places in hits.items()}
        finally:  # stored acts must be the same after a restore, where the failure may not occur
            late = acts if start >= end - HORIZON_MS else acts.since(end - HORIZON_MS)
            if len(late):
                self._recent.append(late)

    def _pairs_again(self, acts: TickActs, days: Days | None) -> _Again | None:
        """The pairs that act again or are followed; None if they, or the acts, are too many for sets."""
        keys = acts.keys_if_few()
        if keys is None:
            return None
        repeated, before = set[int](), list[tuple[TickActs, frozenset[int]]]()
        if len(keys) < len(acts):
            repeated.update(key for key, some in acts.by_key().items() if len(some) > 1)
        for recent in self._recent:
            earlier = recent.keys_if_few()
            if earlier is None:
                return None
            if not keys.isdisjoint(earlier):
                common = keys & earlier
                before.append((recent, common))
                repeated |= common
        followed = set[int]() if days is None else days.followed(keys) - repeated
        return _Again(repeated, before, followed) if len(repeated) <= FEW_AGAIN else None

    def _forget(self, start: int) -> None:
        """Remove acts that no later tick is compared with."""
        while self._recent and self._recent[0].last_ms < start - HORIZON_MS:
            self._recent.popleft()

    def _judged(self, acts: Acts, rows: Packed, days: Days | None) -> Hits:
        places, before = self._again(acts.keys, days)
        if not (len(places) and len(rows)):
            return {}
        if days is not None:
            days.follow(np.unique(acts.keys[places]).tolist())
        return self._sift(acts, rows, places, before, days)

    def _again(self, keys: Keys, days: Days | None) -> tuple[NDArray[np.intp], list[Acts]]:
        """Places of the acts whose pair acts again or is followed, and the earlier acts of these pairs.

        Most pairs act once. Two filters, over different bits of the keys, leave so few acts to be sorted and compared
        that it takes a third of the time of sorting all (measured).
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
        for recent in (each.columns for each in self._recent):
            recent_slots = _slots(recent.keys, bits)
            some = np.nonzero(here[recent_slots])[0]
            some = some[there[_slots(recent.keys[some], bits, of=1)]]
            if len(some):
                maybe[recent_slots[some]] = True
                found.append(recent.at(some))
        places = np.nonzero(maybe[slots])[0]
        if not len(places):
            return places, []
        wanted, which, counts = np.unique(keys[places], return_inverse=True, return_counts=True)
        again = counts > 1
        again[_found(wanted, followed)[0]] = True
        before = []
        for recent in found:
            places_recent, places_wanted = _found(recent.keys, wanted)
            again[places_wanted] = True
            before.append(recent.at(places_recent))
        return places[again[which]], before

    def _sift(self, acts: Acts, rows: Packed, places: NDArray[np.intp], before: list[Acts], days: Days | None) -> Hits:
        keys, ts, spent = (np.concatenate(columns) for columns in zip(acts.at(places), *before, strict=True))
        place = np.concatenate([places, np.full(len(keys) - len(places), len(rows))])
        order = np.lexsort((ts, keys))
        if ((keys[order][1:] == keys[order][:-1]) & (ts[order][1:] == ts[order][:-1])).any():
            tie_rows = rows[np.minimum(place, len(rows) - 1)]
            order = np.lexsort((*(tie_rows[name] for name in rows.dtype.names or ()), spent, ts, keys))
        keys, ts, spent, place = keys[order], ts[order], spent[order], place[order]
        same = np.append(False, keys[1:] == keys[:-1])
        # The first act of a pair has none before it: these two mean nothing there.
        gap = np.diff(ts, prepend=ts[:1])
        earlier = np.concatenate((spent[:1], spent[:-1]))
        act = (place < len(rows)) & (spent != UNDONE)
        # A time at a full minute may be rounded, so the gap between two such acts is not known.
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
            listed = keys[pairs].tolist()
            number = _numbered(counted, ~same) + np.array(days.counted(listed), np.int64)[np.cumsum(~same) - 1]
            hits[RATE_DAY] = place[counted & ~double & (number >= days.per_day)]
            days.count(listed, np.add.reduceat(counted, pairs, dtype=np.int64).tolist())
        return hits

    def _judged_few(
        self, acts: TickActs, again: _Again, rows: Callable[[], Packed], days: Days | None
    ) -> dict[str, list[int]]:
        """As ``_judged`` for a few pairs that act again: for these, arrays take longer."""
        pairs, here = sorted(again.repeated), acts.by_key()
        if days is not None:
            days.follow(pairs)
        earlier: dict[int, list[FewAct]] = {}
        for recent, common in again.before:
            by_key = recent.by_key()
            for key in common:
                earlier[key] = earlier[key] + by_key[key] if key in earlier else by_key[key]
        hits, numbers = dict[str, list[int]](), list[int]()
        for key, counted in zip(pairs, [0] * len(pairs) if days is None else days.counted(pairs), strict=True):
            ordered = here[key]
            if len({act[:2] for act in ordered}) < len(ordered):
                ordered = _ordered_by_rows(ordered, rows())
            left = None if days is None else days.per_day - counted
            numbers.append(self._sift_few(ordered, earlier.get(key, []), left, hits))
        if days is not None:
            days.count(pairs, numbers)
        return hits

    def _sift_few(self, acts: list[FewAct], earlier: list[FewAct], left: int | None, hits: dict[str, list[int]]) -> int:
        """As ``_sift`` for one pair, with its acts of this tick and of earlier ones, each in order of time.

        ``left`` are the acts that it has left today. Adds the places of invalid acts to ``hits``, by reason. Returns
        the number of its acts that count.
        """
        in_minute, minute, before_ts, before_spent = 0, -1, -1, 0
        for ts, spent, _ in earlier:
            if ts // MINUTE_MS != minute:
                minute, in_minute = ts // MINUTE_MS, 0
            in_minute += spent != UNDONE and (ts != before_ts or ts % MINUTE_MS != 0)
            before_ts, before_spent = ts, spent
        same, number = bool(earlier), 0
        for ts, spent, place in acts:
            gap, last_spent = ts - before_ts, before_spent
            if ts // MINUTE_MS != minute:
                minute, in_minute = ts // MINUTE_MS, 0
            unknown = same and gap == 0 and ts % MINUTE_MS == 0
            first, same, before_ts, before_spent = not same, True, ts, spent
            if spent == UNDONE or unknown:
                continue
            in_minute += 1
            number += 1
            viewed = VIEWING_MS <= spent <= gap or VIEWING_MS <= last_spent <= gap or last_spent == UNDONE
            if not (first or viewed) and gap < self._within_ms:
                hits.setdefault(DOUBLE_CLICK, []).append(place)
            elif self._per_minute and in_minute > self._per_minute:
                hits.setdefault(RATE, []).append(place)
            elif left is not None and number > left:
                hits.setdefault(RATE_DAY, []).append(place)
        return number


def _ordered_by_rows(acts: list[FewAct], rows: Packed) -> list[FewAct]:
    """A pair's acts, those of the same moment in the order of their rows. Undos have none."""
    return sorted(acts, key=lambda act: (*act[:2], rows[act[2]].item()[::-1] if act[2] < len(rows) else ()))


def _over_the_day(acts: TickActs, pairs: set[int], days: Days) -> list[int]:
    """Count the single acts of followed pairs. Returns the places of those beyond the limit of a day."""
    by_key = acts.by_key()
    keys = [key for key in sorted(pairs) if by_key[key][0][1] != UNDONE]
    over = [by_key[key][0][2] for key, before in zip(keys, days.counted(keys), strict=True) if before >= days.per_day]
    days.count(keys, [1] * len(keys))
    return over


def repeats_of(rules: RuleSettings, metric: int) -> Repeats | None:
    """The comparing rules of a metric; None if all are off."""
    within_ms = 0 if DOUBLE_CLICK in rules.off else round(rules.double_click_seconds[metric] * 1000)
    per_minute = 0 if RATE in rules.off else rules.per_minute
    per_day = 0 if RATE_DAY in rules.off else rules.per_day
    days = Days(per_day) if per_day else None
    return Repeats(within_ms, per_minute, days) if within_ms or per_minute or per_day else None


def _numbered(counted: NDArray[np.bool_], begins: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The number of counted acts before each, within its group. ``begins`` marks the first act of each group.

    >>> _numbered(np.array([True, False, True, True]), np.array([True, False, False, True])).tolist()
    [0, 1, 1, 0]
    """
    before: NDArray[np.int64] = np.cumsum(counted) - counted
    before -= before[np.nonzero(begins)[0]][np.cumsum(begins) - 1]
    return before


def _fits(spent: Spans, gap: Times) -> NDArray[np.bool_]:
    """Whether the watch time makes the time between two acts a viewing of its own."""
    fits: NDArray[np.bool_] = (spent >= VIEWING_MS) & (spent <= gap)
    return fits


def _slots(keys: Keys, bits: int, *, of: int = 0) -> NDArray[np.int64]:
    """The highest ``bits`` bits of each key, or those after them if ``of`` is 1."""
    slots = keys << np.uint64(bits) if of else keys
    return (slots >> np.uint64(64 - bits)).view(np.int64)  # numpy copies an index of another type


def _found(keys: Keys, among: Keys) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of the keys that are in ``among`` (distinct, in order), and their places there.

    >>> [places.tolist() for places in _found(np.array([5, 9, 1], np.uint64), np.array([1, 4, 5], np.uint64))]
    [[0, 2], [2, 0]]
    """
    if not len(among):
        return _NOWHERE, _NOWHERE
    at = np.minimum(np.searchsorted(among, keys), len(among) - 1)
    places = np.nonzero(among[at] == keys)[0]
    return places, at[places]
