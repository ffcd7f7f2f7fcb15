"""The open tick: the events of all targets of a partition until the tick closes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.events.block import EventBlock
from detectors.events.event import METRICS
from detectors.events.key import VIEW, Key, key_of, metric_of, target_of
from detectors.intake.few_events import FewEvents
from detectors.intake.heap import MOMENT, Heap, Moments
from detectors.intake.related import UNRELATED, RelatedAct
from detectors.intake.rules.reasons import EXEMPT
from detectors.intake.rules.repeats import Repeats
from detectors.windows.crowd import PACKED, Crowd, Packed
from detectors.windows.sample import COLUMNS

FEW_ROWS = 256
"""Most events of a tick that are handled without arrays: below, a tick takes less time so (measured)."""


class TickPart(NamedTuple):
    """Events of one tick from one block, in the order of arrival."""

    start: int
    """of the tick, in epoch ms"""
    metrics: list[int]
    targets: list[str]
    rows: Packed
    moments: Moments
    owners: list[int] | None
    """hashes of the targets' owners, -1 not given; None if no event of the block has one"""


class Tick:
    """The open tick of all targets of a partition: lists while it has few events, then a heap for each metric."""

    __slots__ = (
        *("_few", "_heaps", "_judged", "counted", "ended", "entered", "failures", "log_from", "log_to", "lost"),
        *("nobody", "owners", "rejected", "undos", "withdrawn"),
    )

    def __init__(self, position: int, judged: Sequence[bool] = (False,) * len(METRICS)) -> None:
        """``judged`` is, by metric, whether events are compared with each other or with relations."""
        self.log_from = self.log_to = position
        self._judged = judged
        self._few: FewEvents | None = FewEvents()
        self._heaps: list[Heap] = []
        self.nobody: dict[Key, int] = {}
        """events without an actor: no rule compares them, and they are not in a crowd's sample"""
        self.rejected: dict[tuple[Key, str], int] = {}
        """invalid events by key and reason"""
        self.undos: dict[tuple[Key, str], int] = {}
        """undos outside relations, by key and the reason for which the undoing actor is invalid, if any"""
        self.withdrawn: dict[Key, list[tuple[int, int]]] = {}
        """undos of states that are not settled yet, by key: actor and time"""
        self.ended: dict[Key, list[int]] = {}
        self.lost: dict[Key, list[tuple[int, int]]] = {}
        """when they are settled: the spans of the relations that they ended, and undos without a relation"""
        self.counted: dict[tuple[Key, str], int] = {}
        """valid events by key (with an empty reason) that are counted and not judged"""
        self.entered = [0] * len(METRICS)
        """by metric, the events that were entered as valid when the tick closed"""
        self.failures: list[Exception] = []
        """failures of comparing rules: the events are counted without these rules"""
        self.owners: dict[str, int] = {}
        """target → hash of its owner, if given"""

    # ---------------------------------------------------------------- events

    def add(self, part: TickPart) -> None:
        """Add events, with the owners of their targets."""
        few = self._few
        if few is not None and len(few) + len(part.targets) <= FEW_ROWS:
            few.add(part.metrics, part.targets, part.rows.tobytes(), part.moments.tobytes())
        else:
            _add_by_metric(self._in_heaps(), part.metrics, part.targets, part.rows, part.moments)
        if part.owners is not None:
            self.set_owners(part.targets, part.owners)

    def add_one(self, metric: int, target: str, row: bytes, moment: bytes) -> None:
        """Add one event, with its packed row and moment. Faster than ``add`` for a few events."""
        few = self._few
        if few is not None and len(few) < FEW_ROWS:
            few.add((metric,), (target,), row, moment)
        else:
            self._in_heaps()[metric].add_one(target, row, moment)

    def add_nobody(self, metric: int, target: str) -> None:
        """Add an event without an actor."""
        key = key_of(metric, target)
        self.nobody[key] = self.nobody.get(key, 0) + 1

    def note_undo(self, metric: int, target: str, actor: int, at: int) -> None:
        """See Heap."""
        if self._few is not None:
            self._few.note_undo(metric, target, actor, at)
        else:
            self._heaps[metric].note_undo(target, actor, at)

    def set_owners(self, targets: list[str], owners: Iterable[int]) -> None:
        """Set the owners of targets, -1 not given. If a target has several, the last one is used."""
        self.owners.update(zip(targets, owners, strict=True))

    @staticmethod
    def note(counts: dict[tuple[Key, str], int], key: Key, reason: str) -> None:
        """Count one more event in ``counts``."""
        counts[key, reason] = counts.get((key, reason), 0) + 1

    def _in_heaps(self) -> list[Heap]:
        """The heaps. Few events are moved into them first."""
        few = self._few
        if few is not None:
            self._heaps = [Heap(judged=judged) for judged in self._judged]
            if len(few):
                _add_by_metric(self._heaps, *few.columns())
            for metric, target, actor, at in few.undone():
                self._heaps[metric].note_undo(target, actor, at)
            self._few = None
        return self._heaps

    def memory_bytes(self) -> int:
        """Estimated bytes in memory."""
        return sum(heap.memory_bytes() for heap in self._heaps) if self._few is None else self._few.memory_bytes()

    # ---------------------------------------------------------------- when it closes

    def metrics(self) -> Iterable[int]:
        """The metrics that may have events for ``sift``, in order."""
        return range(len(self._heaps)) if self._few is None else sorted(self._few.metrics())

    def sift(
        self, metric: int, repeats: Repeats, start: int, end: int, *, replayed: bool = False
    ) -> dict[tuple[str, str], int]:
        """Remove the events of a metric that comparing rules catch. Returns their number by target and reason.

        ``replayed`` is whether this tick was sifted before (see Repeats.judge).
        """
        if self._few is not None:
            return self._few.sift(metric, repeats, start, end, replayed=replayed)
        return self._heaps[metric].sift(repeats, start, end, replayed=replayed)

    def related(self) -> Iterator[list[tuple[Key, list[RelatedAct]]]]:
        """The acts that are states, by key, in chunks. All acts of a pair are in one chunk."""
        if self._few is not None:
            acts = self._few.related()
            if acts:
                yield acts
            return
        for metric, heap in enumerate(self._heaps):
            if metric != VIEW:
                for chunk in heap.related():
                    yield [(key_of(metric, target), list(some)) for target, some in groupby(chunk, itemgetter(0))]

    def has_undos(self) -> bool:
        """Whether there are undos to be entered."""
        return bool(self.undos or self.ended or self.lost or self.withdrawn)

    def row(self, key: Key, place: int) -> bytes:
        """The packed row of an act of a key, by its place."""
        return self._few.row(place) if self._few is not None else self._heaps[metric_of(key)].row(place)

    def of_actors(self, metric: int, actors: NDArray[np.int64]) -> list[tuple[str, list[int]]]:
        """Places of the acts of some actors (in order) that no rule has caught, by target.

        Actors are compared with their account bit. Acts to which no rule applies are left out.
        """
        if self._few is not None:
            return self._few.of_actors(metric, frozenset(actors.tolist()))
        return self._heaps[metric].of_actors(actors)

    def reject_places(self, key: Key, places: list[int], reason: str) -> None:
        """Reject acts of a key for a reason that has priority over those of rules that compare acts."""
        metric = metric_of(key)
        few = self._few
        found = self._heaps[metric].drop(places, reason) if few is None else few.drop(places, reason)
        for before in found:
            left = self.rejected.pop((key, before)) - 1
            if left:
                self.rejected[key, before] = left
        self.rejected[key, reason] = self.rejected.get((key, reason), 0) + len(places)

    def by_key(self) -> Iterable[tuple[Key, bytes, Crowd | None]]:
        """Each key with its packed rows and its crowd of folded rows, in order. Keys without an actor have no rows."""
        if self._few is None:
            return self._by_key_of_many()
        rows = self._few.by_key()
        for key in self.nobody:
            rows.setdefault(key, b"")
        return [(key, rows[key], None) for key in sorted(rows)]

    def _by_key_of_many(self) -> Iterator[tuple[Key, bytes, Crowd | None]]:
        for metric, heap in enumerate(self._heaps):
            also = {target_of(key) for key in self.nobody if metric_of(key) == metric}
            yield from heap.by_key(metric, also)

    def counts(self) -> list[tuple[Key, int]]:
        """The number of events by key, in order. It works even if the rows cannot be read."""
        counts = Counter(self.nobody)
        if self._few is not None:
            counts.update(self._few.counts())
        for metric, heap in enumerate(self._heaps):
            counts.update({key_of(metric, target): count for target, count in heap.counts().items()})
        return sorted(counts.items())


def _add_by_metric(heaps: list[Heap], metrics: list[int], targets: list[str], rows: Packed, moments: Moments) -> None:
    if metrics.count(metrics[0]) == len(metrics):
        heaps[metrics[0]].add(targets, rows, moments)
        return
    column = np.array(metrics, np.int8)
    for metric in np.unique(column).tolist():
        places = np.nonzero(column == metric)[0]
        heaps[metric].add([targets[place] for place in places.tolist()], rows[places], moments[places])


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
    if block.unrelated is not None:
        moments["spent"][np.asarray(block.unrelated) & (np.asarray(block.metric) != VIEW)] = UNRELATED
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
