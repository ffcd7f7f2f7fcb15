"""Keyed state in two places: hot keys as objects under a budget, all keys as bytes in the store.

Two generations of hot keys: what is touched moves to the newer one; when the newer one has half the room, the older is
let go. Keys of it that the store does not have yet, because they changed since the last checkpoint, are written down
beside it (``Spill``) and go with the next. Without a store (the disk cannot be used) all keys stay in memory, whatever
the budget says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from detectors.events.key import Key
from detectors.state.watched import Agenda, Watched
from streams import metrics
from streams.state.gauges import TalliedWatches
from streams.state.sealed import WATCHED_KEY, agenda_of, decode_watched, encode_watched
from streams.state.spill import Spill, Waiting, changed_key
from streams.state.store import Store

OBJECT_BYTES = 1_500
"""A key as objects before there is anything in it: a struct, its windows, their dicts (measured on CPython 3.11:
1,100 to 1,500, and what the allocator adds)."""
OBJECT_FACTOR = 9.0
"""Bytes as objects for a byte of msgpack (measured, all together: 1,700 for 255, 5,700 for 519, 18,100 for 1,944)."""
AVERAGE_FADING = 0.001
"""Weight of a record in the running mean of record sizes: about the last thousand."""
FIRST_RECORD_BYTES = 400.0
HOT_SHARE = 7 / 8
"""Of the budget; the rest is left for what nobody counts: fetched frames, outputs that wait for their checkpoint."""
HOT_KEYS_MIN = 1_000
"""However small the budget, a task keeps this many keys hot."""
CHANGED_MAX = 50_000
"""Changed keys that wait for a checkpoint before one is taken early: its transaction should not grow without bound."""


@dataclass(slots=True)
class Budget:
    """Bytes that the hot keys of all tasks of a worker may take together."""

    bytes: int
    tasks: set[int] = field(default_factory=set)

    def share(self) -> float:
        """Bytes for each task."""
        return HOT_SHARE * self.bytes / max(1, len(self.tasks))


class KeyedState(TalliedWatches):
    """The watches of one task; the newer generation of hot keys is the dict itself."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.store: Store | None = None
        """given by ``stand_on``"""
        self.partial = False
        """the log is read from its middle: what is new here may have been counted before"""
        self._budget = budget
        self.beside_bytes = 0
        """what the task holds besides, which takes of its share of the budget"""
        self._record_bytes = FIRST_RECORD_BYTES
        budget.tasks.add(id(self))
        self._older: dict[Key, Watched] = {}
        self._spill: Spill | None = None
        self._notes: Waiting | None = None
        self._flying: set[Key] = set()
        """cut, and not stored yet"""
        self._half = self.room() // 2
        self._hot_shown = 0

    def stand_on(self, store: Store | None) -> None:
        """Use a store, which holds what was restored, or none."""
        self.store = store
        self._spill = None if store is None else Spill(store)
        self._notes = Waiting(store)

    # ---------------------------------------------------------------- reading

    def __missing__(self, key: Key) -> Watched:
        watched = self._fetch(key)
        if watched is None:
            raise KeyError(key)
        return watched

    def change(self, key: Key) -> Watched:
        """See Watches. Raises StoreError or StateError if a cold key cannot be read."""
        watched = self.get(key)
        if watched is None:
            if len(self) >= self._half:
                self._turn()
            watched = self._older.pop(key, None)
            if watched is None:
                watched = self._thaw(key)
            if key not in self._before:
                self.note(key, watched)
            if watched is None:
                watched = Watched(incomplete=self.partial)
            self[key] = watched
        elif key not in self._before:
            self.note(key, watched)
        self._changed.add(key)
        return watched

    def agenda(self) -> Iterator[tuple[Key, Agenda]]:
        """See Watches: asked once, after a restore, when with a store all keys are cold."""
        if self.store is None:
            yield from super().agenda()
            return
        for key, value in self.store.scan(WATCHED_KEY):
            yield Key(key[len(WATCHED_KEY) :].decode()), agenda_of(value)

    # ---------------------------------------------------------------- room

    def weigh(self, record_bytes: int, records: int) -> None:
        """Learn how large changed keys are, from ``records`` of them with ``record_bytes`` bytes together."""
        if records:
            weight = min(1.0, AVERAGE_FADING * records)
            self._record_bytes += (record_bytes / records - self._record_bytes) * weight

    def room(self) -> int:
        """Keys that may be hot."""
        each = OBJECT_BYTES + OBJECT_FACTOR * self._record_bytes
        return max(HOT_KEYS_MIN, int((self._budget.share() - self.beside_bytes) / each))

    def crowded(self) -> bool:
        """Whether so many keys have changed that a checkpoint is due."""
        spilled = 0 if self._spill is None else len(self._spill)
        return self.store is not None and len(self._changed) + spilled > max(self._half, CHANGED_MAX)

    def _turn(self) -> None:
        """Begin a new generation, and let the older one go: what is being worked on is of the newer."""
        self._half = self.room() // 2
        if self._spill is None:
            return
        self.settle()
        changed, flying = self._changed, self._flying
        unstored = [key for key in self._older if key in changed or key in flying]
        if unstored:
            self._spill.put((changed_key(key), encode_watched(self._older[key])) for key in unstored)
            changed.difference_update(unstored)
        metrics.COLD_KEYS.inc(len(self._older))
        self._older = dict(self)
        self.clear()

    def take_changed(self) -> set[Key]:
        """See Watches: those in memory; ``spilled`` answers the others, which are older."""
        self._flying = super().take_changed()
        if self._spill is not None:
            self._spill.cut()
        return self._flying

    def spilled(self) -> Iterator[tuple[bytes, bytes]]:
        """Records for the changelog that the last ``take_changed`` left out, in order of their keys."""
        if self._spill is not None:
            yield from self._spill.records()

    def store_spilled(self) -> Iterator[None]:
        """The checkpoint is committed: what was spilled is state. Keys may change in its pauses. Raises StoreError."""
        if self._spill is not None:
            yield from self._spill.promote()

    def stored(self) -> None:
        """All of the last checkpoint is in the store."""
        self._flying = set()

    # ---------------------------------------------------------------- waiting

    def wait(self, order: int, start: int, key: Key) -> bool:
        """See Watches. Raises StoreError."""
        return super().wait(order, start, key) if self._notes is None else self._notes.add(order, start, key)

    def waited(self, order: int, start: int) -> Iterable[Key]:
        """See Watches. Raises StoreError."""
        return super().waited(order, start) if self._notes is None else self._notes.take(order, start)

    # ---------------------------------------------------------------- shown

    def held(self, key: Key) -> Watched | None:
        """See TalliedWatches."""
        watched = self.get(key)
        return self._older.get(key) if watched is None else watched

    def settle(self) -> None:
        """See TalliedWatches."""
        super().settle()
        self._show_hot(len(self) + len(self._older))

    def _show_hot(self, keys: int) -> None:
        metrics.HOT_KEYS.inc(keys - self._hot_shown)
        self._hot_shown = keys

    def forget(self) -> None:
        """See TalliedWatches; the budget's share goes to the others."""
        super().forget()
        self._show_hot(0)
        self._budget.tasks.discard(id(self))

    # ---------------------------------------------------------------- cold keys

    def _fetch(self, key: Key) -> Watched | None:
        watched = self._older.get(key)
        return self._thaw(key) if watched is None else watched

    def _thaw(self, key: Key) -> Watched | None:
        if self.store is None:
            return None
        name = changed_key(key)
        value = None if self._spill is None else self._spill.get(name)
        if value is None:
            value = self.store.get(name)
        return None if value is None else decode_watched(value)
