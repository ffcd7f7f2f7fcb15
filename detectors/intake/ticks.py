"""The open tick: the events of all targets of a partition until the tick closes.

Events are stored as packed rows in arrival order, each with a number for its target. They are sorted by target once,
when the tick closes. That takes 0.1 µs an event; a list for each target takes 1 µs.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.events.block import EventBlock
from detectors.events.event import METRICS
from detectors.events.key import Key
from detectors.intake.rules.daily_rate import mark_of, marks_of, pair_of, pairs_of
from detectors.intake.rules.reasons import EXEMPT
from detectors.intake.rules.repeats import UNDONE, Acts, FewActs, Repeats
from detectors.windows.crowd import COLUMNS, PACKED, ROW_BYTES, Crowd, Packed

FOLD_ROWS = 1024
"""Rows of one target from which a large heap folds them into a crowd."""

HEAP_ROWS = 1 << 17
"""Rows of one metric and tick (4 MB) above which those of hot targets are folded: bounds the memory of a tick."""
JUDGED_ROWS = 1 << 20
"""The same if rules compare an actor's acts, which they can do only before rows are folded: 44 MB."""

CODE_BYTES = 4
NAME_BYTES = 170
"""Bytes of a target's id, its number and its entry in the dict (measured, CPython 3.11)."""

_WHOLE = np.dtype((np.void, ROW_BYTES))
"""A row as one item: numpy copies fields one by one, which takes twenty times as long."""

MOMENT = np.dtype([("at", "<i4"), ("spent", "<i4")])
"""Time of an event within its tick (-1: no rule applies to it) and watch time (-1 not given), both in ms."""
Moments = NDArray[np.void]
_pack_moment = struct.Struct("<ii").pack
_actor_and_moment = struct.Struct(f"<q{ROW_BYTES - 8}xii").unpack
"""Of a row with its moment."""

FEW_ROWS = 64
"""Most rows that are handled without arrays: below, a tick takes less time so (measured)."""


class Heap:
    """The events of one metric in an open tick."""

    __slots__ = (
        *(
            "_codes",
            "_count",
            "_folded",
            "_loose",
            "_loose_codes",
            "_moments",
            "_names",
            "_rows_max",
            "_rows",
            "_undone",
        ),
        "nobody",
    )

    def __init__(self, *, judged: bool = False) -> None:
        """``judged`` is whether rules compare its events with each other (``sift``)."""
        self._names = _Codes()
        self._codes: list[NDArray[np.int32]] = []
        self._rows: list[Packed] = []
        self._moments: list[Moments] | None = [] if judged else None
        self._loose_codes: list[int] = []
        self._loose: list[bytes] = []
        self._undone: list[tuple[str, int, int]] = []
        self._folded: dict[str, Crowd] = {}
        self._count = 0
        self._rows_max = JUDGED_ROWS if judged else HEAP_ROWS
        self.nobody: dict[str, int] = {}
        """target → events without an actor: no rule compares them, and they are not in a crowd's sample"""

    def memory_bytes(self) -> int:
        """Estimated bytes in memory."""
        row = ROW_BYTES + CODE_BYTES + (0 if self._moments is None else MOMENT.itemsize)
        return self._count * row + len(self._names) * NAME_BYTES

    def add(self, targets: list[str], rows: Packed, moments: Moments | None = None) -> None:
        """Add events: for each a target, a packed row and, on a judged heap, a moment."""
        whole = rows.view(_WHOLE)
        self._codes.append(np.fromiter(map(self._names.__getitem__, targets), np.int32, len(targets)))
        self._rows.append(whole)
        if self._moments is not None:
            assert moments is not None
            self._moments.append(moments)
        self._count += len(targets)
        if self._count > self._rows_max:
            self._fold()

    def add_one(self, target: str, row: bytes, at: int = -1, spent: int = -1) -> None:
        """Add one event. Faster than ``add`` for a few events."""
        self._loose_codes.append(self._names[target])
        self._loose.append(row if self._moments is None else row + _pack_moment(at, spent))
        self._count += 1
        if self._count > self._rows_max:
            self._fold()

    def add_nobody(self, target: str, count: int = 1) -> None:
        """Add events without an actor."""
        self._names[target]  # adds the target to this heap, even without rows
        self.nobody[target] = self.nobody.get(target, 0) + count

    def note_undo(self, target: str, actor: int, at: int) -> None:
        """Record that an actor undoes an act: its next act on this target is no repetition."""
        if self._moments is not None:
            self._undone.append((target, actor, at))

    def sift(self, repeats: Repeats, start: int, end: int, *, replayed: bool = False) -> dict[tuple[str, str], int]:
        """Remove the events that comparing rules catch. Returns their number by target and reason.

        ``replayed`` is whether this tick was sifted before (see Repeats.judge).
        """
        if self._few() and repeats.pass_few(self._few_acts(start), start, end, replayed=replayed):
            return {}
        self._gather()
        if not (self._rows or self._undone):
            return {}
        moments = _joined(self._moments or [], MOMENT)
        rows = _joined(self._rows, _WHOLE)
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
        hits = repeats.judge(acts, shown, start, end, replayed=replayed)
        self._codes, self._rows, self._moments = [codes], [rows], [moments]
        left = np.ones(len(rows), bool)
        targets = list(self._names)
        caught: dict[tuple[str, str], int] = {}
        for reason, places in hits.items():
            left[ruled[places]] = False
            hit, counts = np.unique(codes[ruled[places]], return_counts=True)
            for code, count in zip(hit.tolist(), counts.tolist(), strict=True):
                caught[targets[code], reason] = count
        if not caught:
            return {}
        self._codes, self._rows, self._moments = [codes[left]], [rows[left]], [moments[left]]
        self._count = int(left.sum())
        return caught

    def _few(self) -> bool:
        """Whether all its events were added one by one and are few, as in most ticks of a quiet topic."""
        return not (self._rows or self._undone or self._folded) and len(self._loose) <= FEW_ROWS

    def _few_acts(self, start: int) -> FewActs:
        """The acts that rules compare, of a few events."""
        marks = [mark_of(target) for target in self._names]
        acts = []
        for code, packed in zip(self._loose_codes, self._loose, strict=True):
            actor, at, spent = _actor_and_moment(packed)
            if at >= 0:
                acts.append((pair_of(actor, marks[code]), start + at, spent))
        return acts

    def _few_by_target(self) -> Iterator[tuple[str, bytes, Crowd | None]]:
        rows: dict[int, list[bytes]] = {}
        for code, packed in zip(self._loose_codes, self._loose, strict=True):
            rows.setdefault(code, []).append(packed[:ROW_BYTES])
        for target in sorted(self._names):
            own = rows.get(self._names[target])
            if own is not None or target in self.nobody:
                yield target, b"".join(own or ()), None

    def by_target(self) -> Iterator[tuple[str, bytes, Crowd | None]]:
        """Each target with its packed rows and its crowd of folded rows, in the order of ids."""
        if self._few():
            yield from self._few_by_target()
            return
        packed, ends = self._in_order()
        folded = self._folded.get
        for target in sorted(self._names):
            code = self._names[target]
            rows, before = packed[ends[code] : ends[code + 1]], folded(target)
            if rows or before is not None or target in self.nobody:
                yield target, rows, before

    def counts(self) -> dict[str, int]:
        """The number of events by target, in the order of ids. It works even if the rows cannot be read."""
        totals = dict.fromkeys(sorted(self._names), 0)
        names = list(self._names)
        for codes in (*self._codes, self._loose_codes):
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
        codes = _joined(self._codes, np.int32)
        order = np.argsort(codes, kind="stable")
        packed = _joined(self._rows, _WHOLE).take(order).tobytes()
        ends = np.cumsum(np.bincount(codes, minlength=len(self._names))) * ROW_BYTES
        return packed, [0, *ends.tolist()]

    def _gather(self) -> None:
        """Join the events added one by one with those added in blocks."""
        if not self._loose:
            return
        codes = np.array(self._loose_codes, np.int32)
        joined = b"".join(self._loose)
        if self._moments is None:
            rows = np.frombuffer(joined, _WHOLE)
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


_ROW_AND_MOMENT = np.dtype([("row", _WHOLE), ("moment", MOMENT)])


def _joined(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, dtype)


class _Codes(dict[str, int]):
    """Target → number, in the order of arrival."""

    def __missing__(self, target: str) -> int:
        code = self[target] = len(self)
        return code


class Tick:
    """The open tick of all targets of a partition."""

    __slots__ = ("counted", "entered", "failures", "heaps", "log_from", "log_to", "owners", "rejected", "undos")

    def __init__(self, position: int, judged: Sequence[bool] = (False,) * len(METRICS)) -> None:
        """``judged`` is, by metric, whether rules compare events with each other."""
        self.log_from = self.log_to = position
        self.heaps = [Heap(judged=each) for each in judged]
        self.rejected: dict[tuple[Key, str], int] = {}
        """invalid events by key and reason"""
        self.undos: dict[tuple[Key, str], int] = {}
        """undos by key and the reason for which the undoing actor is invalid, if any"""
        self.counted: dict[tuple[Key, str], int] = {}
        """valid events by key (with an empty reason) that are counted and not judged"""
        self.entered = [0] * len(METRICS)
        """by metric, the events that were entered as valid when the tick closed"""
        self.failures: list[Exception] = []
        """failures of comparing rules: the events are counted without these rules"""
        self.owners: dict[str, int] = {}
        """target → hash of its owner, if given"""

    def set_owners(self, targets: list[str], owners: Iterable[int]) -> None:
        """Set the owners of targets, -1 not given. If a target has several, the last one is used."""
        self.owners.update(zip(targets, owners, strict=True))

    @staticmethod
    def note(counts: dict[tuple[Key, str], int], key: Key, reason: str) -> None:
        """Count one more event in ``counts``."""
        counts[key, reason] = counts.get((key, reason), 0) + 1


def rows_of(block: EventBlock) -> Packed:
    """The block's packed rows, -1 where a column was not given."""
    rows = np.empty(len(block.target), PACKED)
    rows["actor"] = block.actor
    for name in COLUMNS:
        column: Any = getattr(block, name)
        rows[name] = -1 if column is None else column
    return rows


def moments_of(block: EventBlock, at: NDArray[np.int64]) -> Moments:
    """The block's moments. ``at`` is the time of the events within their ticks."""
    moments = np.empty(len(block.target), MOMENT)
    moments["at"] = at if block.rule is None else np.where(np.asarray(block.rule) == EXEMPT, -1, at)
    # A column of a narrow type cannot represent the bound.
    spent = None if block.spent is None else np.asarray(block.spent, np.int64)
    moments["spent"] = -1 if spent is None else np.minimum(spent, MAX_SPENT_MS)
    return moments


MAX_SPENT_MS = int(np.iinfo(MOMENT["spent"]).max)

UNDO_BIT = 1
"""An undo may have the id of the event that it undoes. It is a duplicate of other undos only."""


def acts_of(block: EventBlock) -> list[int] | None:
    """The identities of events for duplicate detection: id, and whether it is an undo; -1 is no id."""
    if block.ident is None:
        return None
    idents = np.asarray(block.ident, np.int64)
    if block.undo is not None:
        undo = np.asarray(block.undo, bool) & (idents >= 0)
        idents = np.where(undo, idents ^ UNDO_BIT, idents)
    acts: list[int] = idents.tolist()
    return acts
