"""The open tick: what has come for every target of a partition and waits for the tick's end.

Events are kept as packed rows in the order in which they came, with a number for their target beside them; they are put
in order of their targets once, when the tick closes. That costs a tenth of a microsecond an event where a list for each
target costs one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.events import METRICS, EventBlock
from detectors.windows import COLUMNS, PACKED, ROW_BYTES, Crowd, Packed

FOLD_ROWS = 1024
"""Rows of one target from which they are folded into a crowd when a heap is large."""

HEAP_ROWS = 1 << 17
"""Rows that one metric of a tick holds (4 MB) before its hot targets' are folded: bounds the memory of a tick."""

CODE_BYTES = 4
NAME_BYTES = 170
"""A target's id, its number and its place in the dict of them (measured, CPython 3.11)."""


class Heap:
    """One metric's events of an open tick."""

    __slots__ = ("_codes", "_count", "_folded", "_loose", "_loose_codes", "_names", "_room", "_rows")

    def __init__(self) -> None:
        self._names = _Codes()
        self._codes: list[NDArray[np.int32]] = []
        self._rows: list[Packed] = []
        self._loose_codes: list[int] = []
        self._loose: list[bytes] = []
        self._folded: dict[str, Crowd] = {}
        self._count = 0
        self._room = HEAP_ROWS

    def held_bytes(self) -> int:
        """About what it takes in memory."""
        return self._count * (ROW_BYTES + CODE_BYTES) + len(self._names) * NAME_BYTES

    def add(self, targets: list[str], rows: Packed) -> None:
        """Put events on the heap: one target and one packed row for each."""
        self._codes.append(np.fromiter(map(self._names.__getitem__, targets), np.int32, len(targets)))
        self._rows.append(rows)
        self._count += len(targets)
        if self._count > self._room:
            self._fold()

    def add_one(self, target: str, row: bytes) -> None:
        """Put one event on the heap. Cheaper than ``add`` for a handful."""
        self._loose_codes.append(self._names[target])
        self._loose.append(row)
        self._count += 1
        if self._count > self._room:
            self._fold()

    def by_target(self) -> Iterator[tuple[str, bytes, Crowd | None]]:
        """Each target with its packed rows and what was folded of it before, in order of ids."""
        packed, ends = self._in_order()
        folded = self._folded.get
        for target in sorted(self._names):
            code = self._names[target]
            yield target, packed[ends[code] : ends[code + 1]], folded(target)

    def _in_order(self) -> tuple[bytes, list[int]]:
        """All rows, target by target, and where each target's begin (and the last one's end)."""
        if self._loose:
            self._codes.append(np.array(self._loose_codes, np.int32))
            self._rows.append(np.frombuffer(b"".join(self._loose), PACKED))
            self._loose_codes, self._loose = [], []
        if not self._rows:
            return b"", [0] * (len(self._names) + 1)
        codes = np.concatenate(self._codes)
        order = np.argsort(codes, kind="stable")
        packed = np.concatenate(self._rows)[order].tobytes()
        ends = np.cumsum(np.bincount(codes, minlength=len(self._names))) * ROW_BYTES
        return packed, [0, *ends.tolist()]

    def _fold(self) -> None:
        """Fold the rows of hot targets; what is left must double before this is done again."""
        packed, ends = self._in_order()
        codes, rows = [], []
        for target, code in self._names.items():
            mine = packed[ends[code] : ends[code + 1]]
            if len(mine) >= FOLD_ROWS * ROW_BYTES:
                self._folded.setdefault(target, Crowd()).fold_packed(mine)
            elif mine:
                codes.append(np.full(len(mine) // ROW_BYTES, code, np.int32))
                rows.append(np.frombuffer(mine, PACKED))
        self._codes, self._rows = codes, rows
        self._count = sum(map(len, rows))
        self._room = max(HEAP_ROWS, 2 * self._count)


class _Codes(dict[str, int]):
    """Targets to numbers, in the order in which they come."""

    def __missing__(self, target: str) -> int:
        code = self[target] = len(self)
        return code


class Tick:
    """The open tick of all targets of a partition."""

    __slots__ = ("heaps", "log_from", "log_to", "rejected", "undos")

    def __init__(self, position: int) -> None:
        self.log_from = self.log_to = position
        self.heaps = [Heap() for _ in METRICS]
        self.rejected: dict[tuple[str, str], int] = {}
        """invalid events by key and reason"""
        self.undos: dict[tuple[str, str], int] = {}
        """undos by key and the reason that whoever undoes is invalid for, if any"""

    @staticmethod
    def note(counts: dict[tuple[str, str], int], key: str, reason: str) -> None:
        """One more of an exceptional kind."""
        counts[key, reason] = counts.get((key, reason), 0) + 1


def rows_of(block: EventBlock) -> Packed:
    """The block's packed rows, -1 where a column was not given."""
    rows = np.empty(len(block.target), PACKED)
    rows["actor"] = block.actor
    for name in COLUMNS:
        column: Any = getattr(block, name)
        rows[name] = -1 if column is None else column
    return rows


UNDO_BIT = 1
"""An undo may carry the id of what it undoes; it is a duplicate only of another undo."""


def acts_of(block: EventBlock) -> list[int] | None:
    """What makes an event the same as another: its id, and whether it undoes; -1 is no id."""
    if block.ident is None:
        return None
    idents = np.asarray(block.ident, np.int64)
    if block.undo is not None:
        undo = np.asarray(block.undo, bool) & (idents >= 0)
        idents = np.where(undo, idents ^ UNDO_BIT, idents)
    acts: list[int] = idents.tolist()
    return acts
