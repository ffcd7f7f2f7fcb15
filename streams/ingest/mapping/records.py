"""Records of an input in columns, and the result of decoding them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.codecs.codec import Refusal

MAX_EVENTS = 500
"""Events of one record. They must fit into one frame, because a frame is never split inside a record."""

Headers = Sequence[tuple[str, bytes | None]]
Fields = dict[str, Sequence[Any]]


@dataclass(slots=True)
class Records:
    """Records of an input partition, one column for each part. ``clock_ms`` is the broker's clock."""

    offset: NDArray[np.int64]
    key: Sequence[bytes | None]
    value: Sequence[bytes | None]
    clock_ms: NDArray[np.int64]
    headers: Sequence[Headers] | None = None
    timestamp_ms: Sequence[int] | None = None
    original: Sequence[bytes | None] | None = None
    """bytes that a dead letter keeps, if these are not the value"""
    line: Sequence[int] | None = None
    """in a recorded file: number of each record's first line"""

    @staticmethod
    def of(rows: Sequence[tuple[int, bytes | None, bytes | None, int]]) -> Records:
        """Make records from rows (offset, key, value, clock)."""
        offset, key, value, clock = zip(*rows, strict=True)
        return Records(np.array(offset, np.int64), key, value, np.array(clock, np.int64))

    @staticmethod
    def values(values: Sequence[bytes | None], clock_ms: int) -> Records:
        """Make records of values alone, at offsets from 0."""
        size = len(values)
        return Records(np.arange(size), [None] * size, values, np.full(size, clock_ms))

    def part(self, begin: int, end: int) -> Records:
        """The records from place ``begin`` to ``end`` - 1."""
        optional = (self.headers, self.timestamp_ms, self.original, self.line)
        cut = [None if column is None else column[begin:end] for column in optional]
        return Records(
            self.offset[begin:end],
            self.key[begin:end],
            self.value[begin:end],
            self.clock_ms[begin:end],
            *cut,  # type: ignore[arg-type]  # each column has its own type
        )


@dataclass(slots=True)
class Good:
    """The events of a stretch, one column for each field."""

    index: NDArray[np.intp]
    """place of each event's record in the stretch, ascending; one record may have several events"""
    metric: NDArray[np.int8]
    ts: NDArray[np.int64]
    """epoch ms"""
    fields: Fields
    """columns of the native event, by name. ``metric`` may be None, and ``actor`` is None where it means nobody"""
    plain_addresses: bool = False
    """whether every value of ``ip`` is known to be plain IPv4"""

    def without(self, places: list[int]) -> Good | None:
        """The events at all other places; None if there are none."""
        left = np.delete(np.arange(len(self.ts)), places)
        if not len(left):
            return None
        kept = left.tolist()
        fields: Fields = {name: [column[place] for place in kept] for name, column in self.fields.items()}
        return Good(self.index[left], self.metric[left], self.ts[left], fields, self.plain_addresses)


@dataclass(slots=True)
class Decoded:
    """The result of decoding a stretch: events, refusals, and counts of what was skipped or left out."""

    good: Good | None = None
    refused: list[Refusal] = field(default_factory=list)
    """in the order of the records, one for each refused record"""
    skipped: dict[str, int] = field(default_factory=dict)
    """number of records and elements that are not meant to be events, by reason (SKIPPED)"""
    unread: dict[tuple[str, str], int] = field(default_factory=dict)
    """number of optional values that were dropped or cut, by field and reason; their events are kept"""

    def skip(self, reason: str, count: int) -> None:
        """Count skipped records or elements."""
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count

    def note_unread(self, unread: dict[tuple[str, str], int]) -> None:
        """Count optional values that were left out of events."""
        for key, count in unread.items():
            self.unread[key] = self.unread.get(key, 0) + count
