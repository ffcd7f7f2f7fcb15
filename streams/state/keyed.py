"""Keyed state in two places: hot keys as objects under a budget, all keys as bytes in the store.

There are two generations of hot keys. A key that is changed moves to the newer one. When the newer one has half the
room, the older one is dropped. Those of its keys that the store does not have yet, because they changed since the last
checkpoint, are written beside it (``Spill``) and go with the next checkpoint. Without a store (the disk cannot be used)
all keys stay in memory, whatever the budget is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from detectors.events.key import Key
from detectors.state.parts import TARGET_STATES
from detectors.state.target_state import Agenda, TargetState
from streams import metrics
from streams.state.gauges import TargetGauges
from streams.state.sealed import agenda_of, decode_target, encode_target
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


class KeyedState:
    """The watches of one task (see ``Watches``), with what they add to the gauges."""

    def __init__(self, budget: Budget) -> None:
        self.store: Store | None = None
        """given by ``stand_on``"""
        self.partial = False
        """the log is read from its middle: what is new here may have been counted before"""
        self._budget = budget
        self.beside_bytes = 0
        """what else the task has in memory, which takes of its share of the budget"""
        self._record_bytes = FIRST_RECORD_BYTES
        budget.tasks.add(id(self))
        self._newer: dict[Key, TargetState] = {}
        self._older: dict[Key, TargetState] = {}
        """the two generations of hot keys; a key is in one of them at most"""
        self._changed: set[Key] = set()
        """changed since the last cut, and not spilled"""
        self._flying: set[Key] = set()
        """cut, and not stored yet"""
        self._spill: Spill | None = None
        self._waiting = Waiting(None)
        self._gauges = TargetGauges(self._hot)
        self._noted = self._gauges.noted
        self._half = self.room() // 2
        self._hot_shown = 0

    def use_store(self, store: Store | None) -> None:
        """Use a store, which has what was restored, or none. Called before anything else."""
        self.store = store
        self._spill = None if store is None else Spill(store)
        self._waiting = Waiting(store)

    # ---------------------------------------------------------------- reading

    def change(self, key: Key) -> TargetState:
        """See Watches. Raises StoreError or StateError if a cold key cannot be read."""
        watched = self._newer.get(key)
        if watched is None:
            if len(self._newer) >= self._half:
                self._turn()
            watched = self._older.pop(key, None)
            if watched is None:
                watched = self._thaw(key)
            if key not in self._noted:
                self._gauges.note(key, watched)
            if watched is None:
                watched = TargetState(incomplete=self.partial)
            self._newer[key] = watched
        elif key not in self._noted:
            self._gauges.note(key, watched)
        self._changed.add(key)
        return watched

    def peek(self, key: Key) -> TargetState | None:
        """See Watches. Raises StoreError or StateError if a cold key cannot be read."""
        watched = self._newer.get(key)
        if watched is None:
            watched = self._older.get(key)
        return self._thaw(key) if watched is None else watched

    def __getitem__(self, key: Key) -> TargetState:
        watched = self.peek(key)
        if watched is None:
            raise KeyError(key)
        return watched

    def __setitem__(self, key: Key, watched: TargetState) -> None:
        self._newer[key] = watched

    def agenda(self) -> Iterator[tuple[Key, Agenda]]:
        """See Watches. With a store all keys are cold after a load."""
        if self.store is None:
            for key, watched in self._newer.items():
                yield key, watched.agenda()
            return
        for name, value in self.store.scan(TARGET_STATES.prefix):
            yield Key(name[len(TARGET_STATES.prefix) :].decode()), agenda_of(value)

    def _hot(self, key: Key) -> TargetState | None:
        watched = self._newer.get(key)
        return self._older.get(key) if watched is None else watched

    def _thaw(self, key: Key) -> TargetState | None:
        if self.store is None:
            return None
        name = changed_key(key)
        value = None if self._spill is None else self._spill.get(name)
        if value is None:
            value = self.store.get(name)
        return None if value is None else decode_target(value)

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
            self._spill.put((changed_key(key), encode_target(self._older[key])) for key in unstored)
            changed.difference_update(unstored)
        metrics.COLD_KEYS.inc(len(self._older))
        self._older, self._newer = self._newer, {}

    def hot_keys(self) -> int:
        """Keys that are in memory."""
        return len(self._newer) + len(self._older)

    # ---------------------------------------------------------------- checkpoints

    def take_changed(self) -> set[Key]:
        """See Watches. ``spilled`` answers the records of the others, which are older."""
        self._flying, self._changed = self._changed, set()
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
        return self._waiting.add(order, start, key)

    def take_waiting(self, order: int, start: int) -> Iterable[Key]:
        """See Watches. Raises StoreError."""
        return self._waiting.take(order, start)

    # ---------------------------------------------------------------- gauges

    def totals(self) -> list[list[int]]:
        """See TargetGauges."""
        self.settle()
        return self._gauges.totals()

    def restored(self, totals: list[list[int]]) -> None:
        """See TargetGauges."""
        self._gauges.restored(totals)

    def settle(self) -> None:
        """Move the gauges by what has changed since the last call."""
        self._gauges.settle()
        self._show_hot(self.hot_keys())

    def forget(self) -> None:
        """Take back all that was added to the gauges, and leave the share of the budget to the other tasks."""
        self._gauges.forget()
        self._show_hot(0)
        self._budget.tasks.discard(id(self))

    def _show_hot(self, keys: int) -> None:
        metrics.HOT_KEYS.inc(keys - self._hot_shown)
        self._hot_shown = keys
