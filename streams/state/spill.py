"""What a task notes on its own disk between checkpoints, so that memory need not hold it; a restart forgets it all.

Two things may be millions: the keys that changed since the last checkpoint (a window of five minutes closes for all its
targets at one moment), and the keys that wait for the end of a window. Both are *scratch*: the first is a function of
the log, the second of the keyed state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct

from detectors.events.key import Key
from detectors.state.parts import TARGET_STATES
from streams.state.store import SCRATCH, Store

WAITING_IN_MEMORY = 2_000
"""Keys of one window that wait in memory before they are written down together."""
PROMOTED_AT_ONCE = 2_000

_window = Struct(">BQ").pack


class Spill:
    """Changed keys' records, in two areas: one is filled while the checkpoint sends the other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._filled = [0, 0]
        self._active = 0

    def __len__(self) -> int:
        """Records that no checkpoint has taken yet; a key may have been written more than once."""
        return self._filled[self._active]

    def put(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Write changed keys down. Raises StoreError."""
        area = _area(self._active)
        noted = [(area + key, value) for key, value in records]
        self._store.jot(noted)
        self._filled[self._active] += len(noted)

    def get(self, key: bytes) -> bytes | None:
        """The newest record of a key, None if it stands in neither area. Raises StoreError."""
        for area in (self._active, 1 - self._active):
            if self._filled[area]:
                value = self._store.get(_area(area) + key)
                if value is not None:
                    return value
        return None

    def cut(self) -> None:
        """A checkpoint takes what is here; what comes now is for the next."""
        self._active = 1 - self._active

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values that the last cut took. Raises StoreError."""
        closed = 1 - self._active
        if self._filled[closed]:
            area = _area(closed)
            for key, value in self._store.scan(area):
                yield key[len(area) :], value

    def promote(self) -> Iterator[None]:
        """What the last cut took is committed: it is state now. Pauses after every batch. Raises StoreError."""
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
        self._store.rub_out(_area(closed))
        self._filled[closed] = 0


class Waiting:
    """Keys that wait for the end of a window, in order of their bytes once they are asked for."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._few: dict[tuple[int, int], set[Key]] = {}
        self._written: set[tuple[int, int]] = set()

    def add(self, order: int, start: int, key: Key) -> bool:
        """Let a key wait; whether it is the first of its window. Raises StoreError."""
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
        """The keys of a window, which wait no longer. Raises StoreError."""
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
        self._store.rub_out(prefix)

    def _write(self, store: Store, window: tuple[int, int]) -> None:
        prefix, few = _place(window), self._few[window]
        store.jot((prefix + key.encode(), b"") for key in few)
        few.clear()
        self._written.add(window)


def _area(number: int) -> bytes:
    return SCRATCH + b"%d" % number


def changed_key(key: Key) -> bytes:
    """The changelog's key of a watched key."""
    return TARGET_STATES.prefix + key.encode()


def _place(window: tuple[int, int]) -> bytes:
    return SCRATCH + b"w" + _window(*window)
