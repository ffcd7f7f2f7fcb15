"""The pure part of a split: the share that a new partition (a child) gets of an old partition's log and state.

A target's partition is its hash modulo the number of partitions. With a multiple of that number, the targets of an old
partition go to its own children only. A child copies the parent's clock and its statistics of the platform. It gets its
share of the keyed state, and of the part of the log that open ticks and recent ids are computed from. Offsets of the
log are translated.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from detectors.controls import Answered, Ruled, ToTargets
from detectors.events.key import Key, target_of
from detectors.state.target_state import TargetState
from streams.log.controls import control_frame
from streams.log.frames import Frame, encode, lean, part_of, times
from streams.log.hashing import hashes, partition_of
from streams.state.sealed import Meta

OFFSET_FIELDS = {"log_from", "log_to"}
"""Fields of keyed state that contain an offset of the log, -1 if none."""


class Child:
    """One of the partitions that an old partition is split into. It translates old offsets to new ones."""

    def __init__(self, partition: int, partitions: int, parent: Meta | None, span_ms: int) -> None:
        self.partition = partition
        self._partitions = partitions
        self._parent = parent
        self._span_ms = span_ms
        self._old_offsets = array("q")
        self._new_offsets = array("q")
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
        """the earliest tick that is open, or that rules still need"""

    def frame(self, frame: Frame, offset: int, seen: dict[str, int]) -> bytes:
        """This child's share of the frame at ``offset``; ``seen`` has the next offset of each source before it."""
        partitions = hashes(frame.target) % np.uint64(self._partitions)
        mine = lean(part_of(frame, np.nonzero(partitions == self.partition)[0]))
        self._old_offsets.append(offset)
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

    def controls(self, records: Iterable[ToTargets], offset: int) -> bytes:
        """This child's share of the control records at ``offset``; possibly none, so that each record has an offset."""
        self._old_offsets.append(offset)
        return control_frame(record for record in records if self._is_mine(record))

    def _is_mine(self, record: ToTargets) -> bool:
        if isinstance(record, Ruled):
            return True
        target = target_of(Key(record.key)) if isinstance(record, Answered) else record.target
        return partition_of(target, self._partitions) == self.partition

    def _begins_generation(self, offset: int) -> bool:
        last = self._with_ids[-1] if self._with_ids else -1
        return any(last < start <= offset for start in self._starts)

    def record_copied(self, first: int, count: int) -> None:
        """Record that the last ``count`` frames were written at offset ``first`` and after."""
        self._new_offsets.extend(range(first, first + count))
        self._end = first + count

    def new_offset(self, offset: int) -> int:
        """The new offset of the first frame at or after an offset of the parent's log."""
        at = bisect_left(self._old_offsets, offset)
        return self._new_offsets[at] if at < len(self._new_offsets) else self._end

    def meta(self, *, born: str, totals: list[list[int]]) -> Meta:
        """This child's meta record, made of the parent's."""
        parent = self._parent
        assert parent is not None
        audit = dict(parent.audit)
        marks = {self.new_offset(offset): mark for offset, mark in self._marks.items()}
        replay_from = self.new_offset(audit["replay_from"])
        past = [(start, self.new_offset(log_to)) for start, log_to in self._past]
        audit["audit"] = {**audit["audit"], "generations": self._generations(), "past": past}
        audit["marks"] = marks
        audit.pop("controls", None)  # the positions of senders begin anew
        audit["replay_from"] = replay_from
        configs = [(self.new_offset(offset), config) for offset, config in parent.configs]
        position = self.new_offset(parent.position)
        return Meta(parent.version, position, audit, born, configs=configs).with_totals(totals)

    def _generations(self) -> list[int]:
        """Offsets at which generations of ids begin: the first frame with ids of this child's targets."""
        found = []
        for start in self._starts:
            at = bisect_left(self._with_ids, start)
            if at < len(self._with_ids):
                found.append(self.new_offset(self._with_ids[at]))
        return sorted(set(found))

    def translated(self, state: TargetState) -> TargetState:
        """Translate the offsets of a key's state in place, and return it."""
        self._translate(state)
        return state

    def _translate(self, value: Any) -> None:
        if isinstance(value, msgspec.Struct):
            for name in value.__struct_fields__:
                inner = getattr(value, name)
                if name in OFFSET_FIELDS:
                    if inner >= 0:
                        setattr(value, name, self.new_offset(inner))
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
