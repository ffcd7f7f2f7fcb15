"""The log and the state of one partition split over several: what of it is pure.

A target's partition is its hash modulo the number of partitions, so with a multiple of that number each partition's
targets spread over its own children and no others. A child takes the parent's clock and its knowledge of the platform
as they are, its share of the keyed state, and its share of the stretch of the log that open ticks and recent ids are a
function of. Places in the log are translated.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Any

import msgspec
import numpy as np

from detectors.state.target_state import TargetState
from streams.log.frames import Frame, encode, lean, part_of, times
from streams.log.hashing import hashes
from streams.state.sealed import Meta

PLACES = {"log_from", "log_to"}
"""Fields of keyed state that name an offset of the log, -1 if none."""


class Child:
    """One of the partitions that a partition is split into; knows where its frames came to stand."""

    def __init__(self, partition: int, partitions: int, parent: Meta | None, span_ms: int) -> None:
        self.partition = partition
        self._partitions = partitions
        self._parent = parent
        self._span_ms = span_ms
        self._was = array("q")
        self._is = array("q")
        self._end = 0
        self._with_ids = array("q")
        self._marks: dict[int, dict[str, int]] = {}
        self._ticks: set[int] = set()
        self._starts: list[int] = list(parent.audit["audit"]["generations"]) if parent is not None else []
        now = parent.audit["audit"]["now"] if parent is not None else -1
        past = parent.audit["audit"].get("past", ()) if parent is not None else ()
        self._past: list[tuple[int, int]] = [(start, log_to) for start, log_to in past]
        horizon = now - now % span_ms if now >= 0 else 0
        self._oldest = min((start for start, _ in self._past), default=horizon)
        """the first tick that is open, or that rules look back on"""

    def frame(self, frame: Frame, offset: int, seen: dict[str, int]) -> bytes:
        """This child's share of the frame at ``offset``; ``seen`` is the next offset of each source before it."""
        places = hashes(frame.target) % np.uint64(self._partitions)
        mine = lean(part_of(frame, np.nonzero(places == self.partition)[0]))
        self._was.append(offset)
        if mine.target and self._parent is not None and offset < self._parent.position:
            new_ticks = {ts - ts % self._span_ms for ts in times(mine).tolist()} - self._ticks
            open_ticks = any(tick >= self._oldest for tick in new_ticks)
            self._ticks |= new_ticks
            has_ids = bool(mine.ident)
            begins = has_ids and self._begins_generation(offset)
            if has_ids:
                self._with_ids.append(offset)
            if open_ticks or begins:
                self._marks[offset] = dict(seen)
        return encode(mine)

    def _begins_generation(self, offset: int) -> bool:
        last = self._with_ids[-1] if self._with_ids else -1
        return any(last < start <= offset for start in self._starts)

    def placed(self, first: int, count: int) -> None:
        """The last ``count`` frames stand at ``first`` and after."""
        self._is.extend(range(first, first + count))
        self._end = first + count

    def place(self, offset: int) -> int:
        """Where the first frame at or after an offset of the parent's log stands now."""
        at = bisect_left(self._was, offset)
        return self._is[at] if at < len(self._is) else self._end

    def meta(self, *, born: str, totals: list[list[int]]) -> Meta:
        """The parent's meta record as this child's."""
        parent = self._parent
        assert parent is not None
        audit = dict(parent.audit)
        marks = {self.place(offset): mark for offset, mark in self._marks.items()}
        replay_from = self.place(audit["replay_from"])
        past = [(start, self.place(log_to)) for start, log_to in self._past]
        audit["audit"] = {**audit["audit"], "generations": self._generations(), "past": past}
        audit["marks"] = marks
        audit["replay_from"] = replay_from
        configs = [(self.place(offset), config) for offset, config in parent.configs]
        return Meta(parent.version, self.place(parent.position), audit, born, totals, configs)

    def _generations(self) -> list[int]:
        """Where generations of ids begin: at the first frame that has ids of this child's targets."""
        found = []
        for start in self._starts:
            at = bisect_left(self._with_ids, start)
            if at < len(self._with_ids):
                found.append(self.place(self._with_ids[at]))
        return sorted(set(found))

    def watched(self, watched: TargetState) -> TargetState:
        """A key's state with its places in the log translated, in place."""
        self._translate(watched)
        return watched

    def _translate(self, value: Any) -> None:
        if isinstance(value, msgspec.Struct):
            for name in value.__struct_fields__:
                inner = getattr(value, name)
                if name in PLACES:
                    if inner >= 0:
                        setattr(value, name, self.place(inner))
                elif isinstance(inner, msgspec.Struct | list | dict):
                    self._translate(inner)
        elif isinstance(value, list):
            if value and isinstance(value[0], msgspec.Struct):
                for inner in value:
                    self._translate(inner)
        elif isinstance(value, dict):
            for inner in value.values():
                if not isinstance(inner, msgspec.Struct | list | dict):
                    break
                self._translate(inner)
