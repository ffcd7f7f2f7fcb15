"""Records of an input as columns, and what decoding makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.codecs.codec import Refusal

MAX_EVENTS = 500
"""Of one record: they must fit into one frame, since a frame is never cut inside a record."""

Headers = Sequence[tuple[str, bytes | None]]
Fields = dict[str, Sequence[Any]]


@dataclass(slots=True)
class Records:
    """Records of an input partition, a column a part; ``clock_ms`` is the broker's."""

    offset: NDArray[np.int64]
    key: Sequence[bytes | None]
    value: Sequence[bytes | None]
    clock_ms: NDArray[np.int64]
    headers: Sequence[Headers] | None = None
    timestamp_ms: Sequence[int] | None = None
    original: Sequence[bytes | None] | None = None
    """what a dead letter keeps, where it is not the value"""
    line: Sequence[int] | None = None
    """of a recorded file: the number of each one's first line"""

    @staticmethod
    def of(rows: Sequence[tuple[int, bytes | None, bytes | None, int]]) -> Records:
        """From rows (offset, key, value, clock)."""
        offset, key, value, clock = zip(*rows, strict=True)
        return Records(np.array(offset, np.int64), key, value, np.array(clock, np.int64))

    @staticmethod
    def values(values: Sequence[bytes | None], clock_ms: int) -> Records:
        """Records that are nothing but values, at offsets from 0 on."""
        size = len(values)
        return Records(np.arange(size), [None] * size, values, np.full(size, clock_ms))

    def part(self, begin: int, end: int) -> Records:
        """Those from place ``begin`` on, before ``end``."""
        optional = (self.headers, self.timestamp_ms, self.original, self.line)
        cut = [None if column is None else column[begin:end] for column in optional]
        return Records(
            self.offset[begin:end],
            self.key[begin:end],
            self.value[begin:end],
            self.clock_ms[begin:end],
            *cut,  # type: ignore[arg-type]  # each is of its own type
        )


@dataclass(slots=True)
class Good:
    """The events of a batch, a column a field."""

    index: NDArray[np.intp]
    """place of each one's record in the batch, ascending; one record may have several events"""
    metric: NDArray[np.int8]
    ts: NDArray[np.int64]
    """epoch ms"""
    fields: Fields
    """of the native event, by name; ``metric`` may be None there, and ``actor`` where there is nobody"""
    plain_addresses: bool = False
    """whether all of ``ip`` is known to be plain IPv4"""

    def without(self, places: list[int]) -> Good | None:
        """The others; None if there are none."""
        left = np.delete(np.arange(len(self.ts)), places)
        if not len(left):
            return None
        kept = left.tolist()
        fields: Fields = {name: [column[place] for place in kept] for name, column in self.fields.items()}
        return Good(self.index[left], self.metric[left], self.ts[left], fields, self.plain_addresses)


@dataclass(slots=True)
class Decoded:
    """What a batch is: events, refusals, and what was passed over or left out on the way."""

    good: Good | None = None
    refused: list[Refusal] = field(default_factory=list)
    """in the order of the records; one a record"""
    skipped: dict[str, int] = field(default_factory=dict)
    """records and elements that are meant to be no events, by reason (SKIPPED)"""
    unread: dict[tuple[str, str], int] = field(default_factory=dict)
    """optional values that were dropped or cut, by field and reason; their events are among the good"""

    def skip(self, reason: str, count: int) -> None:
        """Note what was passed over."""
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count

    def note_unread(self, unread: dict[tuple[str, str], int]) -> None:
        """Note what was left out of events."""
        for key, count in unread.items():
            self.unread[key] = self.unread.get(key, 0) + count
