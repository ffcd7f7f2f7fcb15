"""Temporary data of a task on its disk, which saves memory between checkpoints. A restart deletes it.

There are two kinds, and each may have millions of keys: keys that changed since the last checkpoint (a window of five
minutes closes for all targets at once), and keys that wait for the end of a window. A restart computes the first again
from the log, and the second from the keyed state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct

from detectors.events.key import Key
from detectors.state.parts import TARGET_STATES
from streams.state.store import SCRATCH, Store

WAITING_IN_MEMORY = 2_000
"""Keys of one window that wait in memory before they are written to disk together."""
PROMOTED_AT_ONCE = 2_000

_window = Struct(">BQ").pack


class Spill:
    """Records of changed keys, in two areas: one is filled while the checkpoint sends the other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._filled = [0, 0]
        self._active = 0

    def __len__(self) -> int:
        """The number of records that are in no checkpoint yet. A key may have been written more than once."""
        return self._filled[self._active]

    def put(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Write records of changed keys. Raises StoreError."""
        area = _area(self._active)
        noted = [(area + key, value) for key, value in records]
        self._store.write_scratch(noted)
        self._filled[self._active] += len(noted)

    def get(self, key: bytes) -> bytes | None:
        """The newest record of a key; None if neither area has one. Raises StoreError."""
        for area in (self._active, 1 - self._active):
            if self._filled[area]:
                value = self._store.get(_area(area) + key)
                if value is not None:
                    return value
        return None

    def areas(self) -> list[bytes]:
        """Prefixes under which records of keys may be, the newest first."""
        return [_area(area) for area in (self._active, 1 - self._active) if self._filled[area]]

    def cut(self) -> None:
        """Begin a checkpoint with the present records. Later ones are for the next checkpoint."""
        self._active = 1 - self._active

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values of the last cut, in order. Raises StoreError."""
        closed = 1 - self._active
        if self._filled[closed]:
            area = _area(closed)
            for key, value in self._store.scan(area):
                yield key[len(area) :], value

    def promote(self) -> Iterator[None]:
        """Move the records of the last cut to the state after its commit, in steps. Raises StoreError."""
        closed = 1 - self._active
        if not self._filled[closed]:
            return
        batch: list[tuple[bytes, bytes]] = []
        for record in self.records():
            batch.append(record)
            if len(batch) >= PROMOTED_AT_ONCE:
                self._store.promote(batch)
                batch = []
                yield
        self._store.promote(batch)
        self._store.delete_prefix(_area(closed))
        self._filled[closed] = 0


class WaitingKeys:
    """Keys that wait for the end of a window. They are returned in order of their bytes."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._few: dict[tuple[int, int], set[Key]] = {}
        self._written: set[tuple[int, int]] = set()

    def add(self, order: int, start: int, key: Key) -> bool:
        """Add a key to a window. Returns whether it is the first one. Raises StoreError."""
        window = order, start
        few = self._few.get(window)
        if few is None:
            self._few[window] = {key}
            return True
        few.add(key)
        if self._store is not None and len(few) >= WAITING_IN_MEMORY:
            self._write(self._store, window)
        return False

    def take(self, order: int, start: int) -> Iterator[Key]:
        """Remove and yield the keys of a window. Raises StoreError."""
        window = order, start
        if self._store is None or window not in self._written:
            yield from sorted(self._few.pop(window))
            return
        self._write(self._store, window)
        del self._few[window]
        self._written.discard(window)
        prefix = _place(window)
        for key, _ in self._store.scan(prefix):
            yield Key(key[len(prefix) :].decode())
        self._store.delete_prefix(prefix)

    def _write(self, store: Store, window: tuple[int, int]) -> None:
        prefix, few = _place(window), self._few[window]
        store.write_scratch((prefix + key.encode(), b"") for key in few)
        few.clear()
        self._written.add(window)


def _area(number: int) -> bytes:
    return SCRATCH + b"%d" % number


def changed_key(key: Key) -> bytes:
    """The key of the changelog record of a target's state."""
    return TARGET_STATES.prefix + key.encode()


def _place(window: tuple[int, int]) -> bytes:
    return SCRATCH + b"w" + _window(*window)
