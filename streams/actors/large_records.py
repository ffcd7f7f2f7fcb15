"""The large records of a full checkpoint, on the disk until they are sent and part of the stored state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streams.state.store import SCRATCH, Store

_PREFIX = SCRATCH + b"full/"
PROMOTED_BYTES = 1024 * 1024
"""Bytes that become part of the stored state in one write."""


class LargeRecords:
    """Records of one checkpoint. Of a busy partition they are tens of megabytes, and a commit may take a minute.

    Without a store (the disk cannot be used), they are in memory.
    """

    def __init__(self) -> None:
        self._store: Store | None = None
        self._keys: list[bytes] = []
        self._in_memory: list[tuple[bytes, bytes]] = []

    def use_store(self, store: Store | None) -> None:
        """Set the store. Called before any other method."""
        self._store = store

    def cut(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Begin a checkpoint with these records. ``stored`` must have ended for the one before. Raises StoreError."""
        if self._store is None:
            self._in_memory = list(records)
            return
        for part in _parts(records):
            self._store.write_scratch((_PREFIX + key, value) for key, value in part)
            self._keys += [key for key, _ in part]

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """The records of the checkpoint. May be read more than once. Raises StoreError."""
        yield from self._in_memory
        for key in self._keys:
            value = None if self._store is None else self._store.get(_PREFIX + key)
            if value is None:
                raise KeyError(key)
            yield key, value

    def stored(self) -> Iterator[None]:
        """Make the records part of the stored state, after the commit. Other tasks may run between the steps."""
        self._in_memory = []
        if self._store is None or not self._keys:
            return
        for part in _parts(self.records()):
            self._store.promote(part)
            yield
        self._store.delete_prefix(_PREFIX)
        self._keys = []


def _parts(records: Iterable[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    """The records in lists of about PROMOTED_BYTES."""
    part: list[tuple[bytes, bytes]] = []
    size = 0
    for record in records:
        part.append(record)
        size += len(record[1])
        if size >= PROMOTED_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
