"""Changelog records that were written without a transaction, kept until their checkpoint is complete."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from streams.state.sealed import META_KEY
from streams.state.store import SCRATCH, Store

POSITION_HEADER = "position"
"""Header of state records that are written without a transaction: the position of their checkpoint."""

WAITING_MAX = 2_000
"""Records in memory. A store takes the others: of a compacted changelog nearly all wait for the newest meta record."""

_PREFIX = SCRATCH + b"waiting/"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[bytes, bytes | None]).decode


class Waiting(NamedTuple):
    """A record, and its offset."""

    key: bytes
    value: bytes | None
    offset: int


class _Group(msgspec.Struct):
    """Records one after the other with the position of one checkpoint."""

    position: bytes
    first: int
    last: int
    """offsets"""
    complete: bool = False


class UncommittedRecords:
    """Records that were written without a transaction, until the last record of their checkpoint is read.

    Such records have the position of their checkpoint in a header. After a crash, a checkpoint may lack its last
    records. Its first ones must not be applied then: the task goes on from an earlier position, and would count their
    events again.

    Compaction deletes the meta records of all checkpoints but the newest. So the records of an earlier checkpoint are
    complete too, if offsets are missing behind them. If its meta record was never written, what is missing there are
    records that the task wrote again later, as it did all others of that checkpoint.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._groups: list[_Group] = []
        self._in_memory: list[Waiting] = []
        self._count = 0

    def __len__(self) -> int:
        """Records that wait."""
        return self._count

    def completed(self, record: Any) -> Iterator[Waiting]:
        """The records that are complete with this one, in the order of their offsets. Raises StoreError."""
        key, position = record.key, next((text for name, text in record.headers if name == POSITION_HEADER), None)
        if key is None:
            return
        if position is None:
            yield Waiting(key, record.value, record.offset)
            return
        if self._groups and self._groups[-1].position == position:
            self._groups[-1].last = record.offset
        else:
            self._groups.append(_Group(position, record.offset, record.offset))
        self._in_memory.append(Waiting(key, record.value, record.offset))
        self._count += 1
        if key == META_KEY:
            yield from self._checkpoint(position)
        elif self._store is not None and len(self._in_memory) >= WAITING_MAX:
            self._store.write_scratch((_place(each.offset), _encode(each[:2])) for each in self._in_memory)
            self._in_memory = []

    def _checkpoint(self, position: bytes) -> Iterator[Waiting]:
        """The records that are complete with the meta record of a checkpoint. The others are dropped."""
        groups = self._groups
        groups[-1].complete = True
        for group, behind in zip(groups[-2::-1], groups[::-1], strict=False):
            earlier = int(group.position) < int(position) and group.last + 1 < behind.first
            group.complete = group.position == position or earlier
        at = 0
        for record in self._all():
            while groups[at].last < record.offset:
                at += 1
            if groups[at].complete:
                yield record
        if self._store is not None and self._count > len(self._in_memory):
            self._store.delete_prefix(_PREFIX)
        self._groups, self._in_memory, self._count = [], [], 0

    def _all(self) -> Iterator[Waiting]:
        if self._store is not None and self._count > len(self._in_memory):
            for place, record in self._store.scan(_PREFIX):
                yield Waiting(*_decode(record), int.from_bytes(place[len(_PREFIX) :], "big"))
        yield from self._in_memory


def _place(offset: int) -> bytes:
    return _PREFIX + offset.to_bytes(8, "big")
