"""The events of one metric in an open tick with many, as arrays.

Events are stored as packed rows in arrival order, each with a number for its target. They are sorted by target once,
when the tick closes. That takes 0.1 µs an event; a list for each target takes 1 µs.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Set
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.events.actor import without_account
from detectors.events.key import Key, key_of
from detectors.intake.related import CHUNK_ACTS, UNRELATED, RelatedAct
from detectors.intake.rules.acts import UNDONE, Acts, TickActs
from detectors.intake.rules.daily_rate import marks_of, pairs_of
from detectors.intake.rules.repeats import Repeats
from detectors.windows.crowd import PACKED, ROW_BYTES, Crowd, Packed

FOLD_ROWS = 1024
"""Rows of one target from which a large heap folds them into a crowd."""

HEAP_ROWS = 1 << 17
"""Rows of one metric and tick (4 MB) above which those of hot targets are folded: bounds the memory of a tick."""
JUDGED_ROWS = 1 << 20
"""The same if rules compare an actor's acts, which they can do only before rows are folded: 44 MB."""

CODE_BYTES = 4
NAME_BYTES = 170
"""Bytes of a target's id, its number and its entry in the dict (measured, CPython 3.11)."""

WHOLE = np.dtype((np.void, ROW_BYTES))
"""A row as one item: numpy copies fields one by one, which takes twenty times as long."""

MOMENT = np.dtype([("at", "<i4"), ("spent", "<i4")])
"""Time of an event within its tick (-1: no rule applies to it) and watch time (-1 not given), both in ms."""
Moments = NDArray[np.void]
pack_moment = struct.Struct("<ii").pack
"""Packs a moment's numbers."""
NO_MOMENT = pack_moment(-1, -1)


class Heap:
    """The events of one metric in an open tick."""

    __slots__ = (
        *("_caught", "_codes", "_count", "_folded", "_left", "_loose", "_loose_codes"),
        *("_moments", "_names", "_rows", "_rows_max", "_undone"),
    )

    def __init__(self, *, judged: bool = False) -> None:
        """``judged`` is whether events are compared: with each other (``sift``), or with relations (``related``)."""
        self._names = _Codes()
        self._codes: list[NDArray[np.int32]] = []
        self._rows: list[Packed] = []
        self._moments: list[Moments] | None = [] if judged else None
        self._loose_codes: list[int] = []
        self._loose: list[bytes] = []
        self._undone: list[tuple[str, int, int]] = []
        self._folded: dict[str, Crowd] = {}
        self._left: NDArray[np.bool_] | None = None
        """which rows no rule has caught; None: all"""
        self._caught: dict[str, NDArray[np.intp]] = {}
        """reason → places of the rows that it caught"""
        self._count = 0
        self._rows_max = JUDGED_ROWS if judged else HEAP_ROWS

    def memory_bytes(self) -> int:
        """Estimated bytes in memory."""
        row = ROW_BYTES + CODE_BYTES + (0 if self._moments is None else MOMENT.itemsize)
        return self._count * row + len(self._names) * NAME_BYTES

    def add(self, targets: list[str], rows: Packed, moments: Moments | None = None) -> None:
        """Add events: for each a target, a packed row and, on a judged heap, a moment."""
        whole = rows.view(WHOLE)
        self._codes.append(np.fromiter(map(self._names.__getitem__, targets), np.int32, len(targets)))
        self._rows.append(whole)
        if self._moments is not None:
            assert moments is not None
            self._moments.append(moments)
        self._count += len(targets)
        if self._count > self._rows_max:
            self._fold()

    def add_one(self, target: str, row: bytes, moment: bytes = NO_MOMENT) -> None:
        """Add one event, with its packed moment. Faster than ``add`` for a few events."""
        self._loose_codes.append(self._names[target])
        self._loose.append(row if self._moments is None else row + moment)
        self._count += 1
        if self._count > self._rows_max:
            self._fold()

    def note_undo(self, target: str, actor: int, at: int) -> None:
        """Record that an actor undoes an act: its next act on this target is no repetition."""
        if self._moments is not None:
            self._undone.append((target, actor, at))

    def sift(self, repeats: Repeats, start: int, end: int, *, replayed: bool = False) -> dict[tuple[str, str], int]:
        """Remove the events that comparing rules catch. Returns their number by target and reason.

        ``replayed`` is whether this tick was sifted before (see Repeats.judge).
        """
        self._gather()
        if not (self._rows or self._undone):
            return {}
        moments = _joined(self._moments or [], MOMENT)
        rows = _joined(self._rows, WHOLE)
        codes = _joined(self._codes, np.int32)
        ruled = np.nonzero(moments["at"] >= 0)[0]
        if len(ruled) < len(rows):
            shown, when, whose = rows.take(ruled).view(PACKED), moments[ruled], codes[ruled]
        else:
            shown, when, whose = rows.view(PACKED), moments, codes
        undone = [(self._names[target], actor, at) for target, actor, at in self._undone]
        backs = np.array(undone, np.int64).reshape(-1, 3)
        marks = marks_of(self._names)
        acts = Acts(
            pairs_of(np.append(shown["actor"], backs[:, 1]), marks[np.append(whose, backs[:, 0])]),
            np.append(when["at"], backs[:, 2]) + start,
            np.append(when["spent"], np.full(len(backs), UNDONE, np.int32)),
        )
        hits = repeats.judge(TickActs(acts), lambda: shown, start, end, replayed=replayed)
        self._codes, self._rows, self._moments = [codes], [rows], [moments]
        left = np.ones(len(rows), bool)
        targets = list(self._names)
        caught: dict[tuple[str, str], int] = {}
        for reason, places in hits.items():
            left[ruled[places]] = False
            hit, counts = np.unique(codes[ruled[places]], return_counts=True)
            for code, count in zip(hit.tolist(), counts.tolist(), strict=True):
                caught[targets[code], reason] = count
        if caught:
            self._left, self._count = left, int(left.sum())
            self._caught = {reason: ruled[places] for reason, places in hits.items()}
        return caught

    def related(self) -> Iterator[list[RelatedAct]]:
        """The acts that are states, by target, in chunks of about CHUNK_ACTS. All acts of a pair are in one chunk."""
        self._gather()
        if not self._rows:
            return
        codes, rows, moments = self._join()
        places = np.nonzero((moments["at"] >= 0) & (moments["spent"] != UNRELATED))[0]
        if not len(places):
            return
        actors = without_account(rows.view(PACKED)["actor"][places])
        order = np.lexsort((places, moments["at"][places], actors, codes[places]))
        places, actors = places[order], actors[order]
        of, names = codes[places], list(self._names)
        another = np.append(True, (of[1:] != of[:-1]) | (actors[1:] != actors[:-1]))
        begins = np.nonzero(another)[0][::CHUNK_ACTS]
        for begin, end in pairwise([*begins.tolist(), len(places)]):
            some = places[begin:end]
            caught = np.zeros(len(some), np.bool_) if self._left is None else ~self._left[some]
            columns = actors[begin:end], moments["at"][some], some, caught
            listed = zip(*(column.tolist() for column in columns), strict=True)
            yield [RelatedAct(names[code], *act) for code, act in zip(of[begin:end].tolist(), listed, strict=True)]

    def _join(self) -> tuple[NDArray[np.int32], NDArray[Any], NDArray[Any]]:
        """Targets' numbers, rows and moments as one array each, which replace the parts."""
        codes, rows = _joined(self._codes, np.int32), _joined(self._rows, WHOLE)
        moments = _joined(self._moments or [], MOMENT)
        self._codes, self._rows, self._moments = [codes], [rows], [moments]
        return codes, rows, moments

    def row(self, place: int) -> bytes:
        """The packed row of an act that ``related`` has yielded."""
        row: bytes = self._rows[0][place].tobytes()
        return row

    def of_actors(self, actors: NDArray[np.int64]) -> list[tuple[str, list[int]]]:
        """Places of the acts of some actors (in order) that no rule has caught, by target.

        Actors are compared with their account bit. Acts to which no rule applies are left out.
        """
        self._gather()
        if not self._rows:
            return []
        codes, rows, moments = self._join()
        here = rows.view(PACKED)["actor"]
        at = np.minimum(np.searchsorted(actors, here), len(actors) - 1)
        found = (actors[at] == here) & (moments["at"] >= 0)
        places = np.nonzero(found if self._left is None else found & self._left)[0]
        by_code: dict[int, list[int]] = {}
        for place, code in zip(places.tolist(), codes[places].tolist(), strict=True):
            by_code.setdefault(code, []).append(place)
        names = list(self._names) if by_code else []
        return [(names[code], some) for code, some in by_code.items()]

    def drop(self, places: list[int], reason: str) -> list[str]:
        """Remove acts that ``related`` or ``of_actors`` has found. Returns the reasons of those caught before."""
        if self._left is None:
            self._left = np.ones(len(self._rows[0]), np.bool_)
        before = [place for place in places if not self._left[place]]
        self._left[places] = False
        self._count -= len(places) - len(before)
        reasons = [known for place in before for known, caught in self._caught.items() if place in caught]
        self._caught[reason] = np.append(self._caught.get(reason, np.empty(0, np.intp)), places)
        return reasons

    def by_key(self, metric: int, also: Set[str] = frozenset()) -> Iterator[tuple[Key, bytes, Crowd | None]]:
        """The key of each target with its packed rows and its crowd of folded rows, in the order of ids.

        Targets in ``also`` are included even without rows.
        """
        packed, ends = self._in_order()
        targets, folded = list(self._names), self._folded
        unnamed = [target for target in also if target not in self._names]
        targets += unnamed
        ends += [ends[-1]] * len(unnamed)
        for code in sorted(range(len(targets)), key=targets.__getitem__):
            target, rows = targets[code], packed[ends[code] : ends[code + 1]]
            before = folded.get(target) if folded else None
            if rows or before is not None or target in also:
                yield key_of(metric, target), rows, before

    def counts(self) -> dict[str, int]:
        """The number of events by target, in the order of ids. It works even if the rows cannot be read."""
        totals = dict.fromkeys(sorted(self._names), 0)
        names = list(self._names)
        for codes in (*self._left_codes(), self._loose_codes):
            for code, count in Counter(np.asarray(codes).tolist()).items():
                totals[names[code]] += count
        for target, crowd in self._folded.items():
            totals[target] += crowd.n
        return {target: count for target, count in totals.items() if count}

    def _in_order(self) -> tuple[bytes, list[int]]:
        """All rows sorted by target, and the offset at which each target's begin (and the last one's end)."""
        self._gather()
        if not self._rows:
            return b"", [0] * (len(self._names) + 1)
        (codes,) = self._left_codes()
        rows = _joined(self._rows, WHOLE)
        order = np.argsort(codes, kind="stable")
        packed = (rows if self._left is None else rows[self._left]).take(order).tobytes()
        ends = np.cumsum(np.bincount(codes, minlength=len(self._names))) * ROW_BYTES
        return packed, [0, *ends.tolist()]

    def _left_codes(self) -> list[NDArray[np.int32]]:
        """The numbers of the targets of all rows that no rule has caught, as one array or none."""
        if not self._codes:
            return []
        codes = _joined(self._codes, np.int32)
        return [codes if self._left is None else codes[self._left]]

    def _gather(self) -> None:
        """Join the events added one by one with those added in blocks."""
        if not self._loose:
            return
        codes = np.array(self._loose_codes, np.int32)
        joined = b"".join(self._loose)
        if self._moments is None:
            rows = np.frombuffer(joined, WHOLE)
        else:
            both = np.frombuffer(joined, _ROW_AND_MOMENT)
            rows = both["row"]
            self._moments.append(both["moment"])
        self._codes.append(codes)
        self._rows.append(rows)
        self._loose_codes, self._loose = [], []

    def _fold(self) -> None:
        """Fold the rows of hot targets, without the rules. The rest must double before this is done again."""
        self._gather()
        codes, rows = np.concatenate(self._codes), np.concatenate(self._rows)
        names = list(self._names)
        many = np.bincount(codes, minlength=len(names)) >= FOLD_ROWS
        for code in np.nonzero(many)[0].tolist():
            self._folded.setdefault(names[code], Crowd()).fold_packed(rows[codes == code].tobytes())
        left = ~many[codes]
        self._codes, self._rows = [codes[left]], [rows[left]]
        if self._moments is not None:
            self._moments = [np.concatenate(self._moments)[left]]
        self._count = int(left.sum())
        self._rows_max = max(self._rows_max, 2 * self._count)


_ROW_AND_MOMENT = np.dtype([("row", WHOLE), ("moment", MOMENT)])


def _joined(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, dtype)


class _Codes(dict[str, int]):
    """Target → number, in the order of arrival."""

    def __missing__(self, target: str) -> int:
        code = self[target] = len(self)
        return code
