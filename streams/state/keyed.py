"""Keyed state: hot keys as objects in memory, within a budget, and all keys as bytes in the store.

There are two generations of hot keys. A key that changes moves to the newer one. When the newer one has half of the
allowed keys, the older one is evicted. How many are allowed follows from their mean size, which is measured when a
generation begins, and while they grow. Evicted keys that changed since the last checkpoint are not in the store yet;
they are written to a separate area on disk (``Spill``) and go into the next checkpoint. Without a store (the disk
cannot be used) all keys stay in memory, whatever the budget is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from detectors.events.key import Key
from detectors.state.parts import TARGET_STATES
from detectors.state.target_state import Agenda, TargetState
from streams import metrics
from streams.state.gauges import TargetGauges
from streams.state.relation_pages import StoredPages
from streams.state.sealed import agenda_of, decode_target, encode_target
from streams.state.sizes import mean_bytes
from streams.state.spill import Spill, WaitingKeys, changed_key
from streams.state.store import Store

FIRST_KEY_BYTES = 5_100.0
"""Bytes of a key that is in memory, until they have been measured."""
CHANGES_MEASURED = 8
"""Changes for each key in memory after which all are measured again: they grow, and measuring one takes 1 to 2 µs."""
HOT_SHARE = 7 / 8
"""Share of the budget for hot keys. The rest is for what is not measured: fetched frames, pending outputs."""
HOT_KEYS_MIN, HOT_BYTES_MIN = 1_000, 5_100_000
"""Least number of hot keys of a task, however small the budget, unless so many take more than these bytes."""
CHANGED_MAX = 50_000
"""Changed keys from which a checkpoint is taken early: its transaction should not grow without bound."""


@dataclass(slots=True)
class Budget:
    """The memory that the hot keys of all tasks of a worker share, in bytes."""

    bytes: int
    tasks: set[int] = field(default_factory=set)

    def share(self) -> float:
        """Bytes for each task."""
        return HOT_SHARE * self.bytes / max(1, len(self.tasks))


class KeyedState:
    """The states of the targets of one task (see ``TargetStates``), with their gauges."""

    def __init__(self, budget: Budget, *, partition: int = 0) -> None:
        self.store: Store | None = None
        """set by ``use_store``"""
        self.partial = False
        """the log is not read from its beginning: new keys may have been counted before"""
        self._budget = budget
        self.other_bytes = 0
        """bytes of other data of the task in memory, which reduce its share of the budget"""
        self._key_bytes = FIRST_KEY_BYTES
        """mean of the keys in memory"""
        self._changes = 0
        """changes since that was measured"""
        budget.tasks.add(id(self))
        self._newer: dict[Key, TargetState] = {}
        self._older: dict[Key, TargetState] = {}
        """the two generations of hot keys; a key is in one of them at most"""
        self._changed: set[Key] = set()
        """changed since the last cut, and not spilled"""
        self._in_checkpoint: set[Key] = set()
        """in the last checkpoint, and not stored yet"""
        self._spill: Spill | None = None
        self._waiting = WaitingKeys(None)
        self.pages = StoredPages()
        self._gauges = TargetGauges(self._hot, partition)
        self._noted = self._gauges.noted
        self._half = self.hot_keys_max() // 2
        self._hot_exported = 0

    def use_store(self, store: Store | None) -> None:
        """Set the store, which has what was restored, or None. Called before any other method."""
        self.store = store
        self._spill = None if store is None else Spill(store)
        self._waiting = WaitingKeys(store)
        self.pages.use_store(store, self._spill)

    # ---------------------------------------------------------------- reading

    def change(self, key: Key) -> TargetState:
        """See TargetStates. Raises StoreError or StateError if a cold key cannot be read."""
        state = self._newer.get(key)
        if state is None:
            if len(self._newer) >= self._half:
                self._start_generation()
            state = self._older.pop(key, None)
            if state is None:
                state = self._load_cold(key)
            if key not in self._noted:
                self._gauges.note(key, state)
            if state is None:
                state = TargetState(incomplete=self.partial)
            self._newer[key] = state
        elif key not in self._noted:
            self._gauges.note(key, state)
        self._changed.add(key)
        return state

    def change_many(self, keys: Sequence[Key]) -> list[TargetState]:
        """See TargetStates. Raises StoreError or StateError if a cold key cannot be read."""
        cold = [key for key in keys if key not in self._newer]
        if cold:
            if len(self._newer) + len(cold) > self._half:
                self._start_generation()
                cold = [key for key in keys if key not in self._newer]
            self._make_newer(cold)
        states = [self._newer[key] for key in keys]
        for key, state in zip(keys, states, strict=True):
            if key not in self._noted:
                self._gauges.note(key, state)
        self._changed.update(keys)
        return states

    def _make_newer(self, keys: Sequence[Key]) -> None:
        """Move keys to the newer generation, of which they do not exceed the size."""
        read = self._read_cold([key for key in keys if key not in self._older])
        for key in keys:
            state = self._older.pop(key, None) or read.get(key)
            if key not in self._noted:
                self._gauges.note(key, state)
            self._newer[key] = state or TargetState(incomplete=self.partial)

    def peek(self, key: Key) -> TargetState | None:
        """See TargetStates. Raises StoreError or StateError if a cold key cannot be read."""
        state = self._newer.get(key)
        if state is None:
            state = self._older.get(key)
        return self._load_cold(key) if state is None else state

    def peek_many(self, keys: Sequence[Key]) -> list[TargetState | None]:
        """See TargetStates. Raises StoreError or StateError if a cold key cannot be read."""
        states = [self._hot(key) for key in keys]
        read = self._read_cold([key for key, state in zip(keys, states, strict=True) if state is None])
        return [state or read.get(key) for key, state in zip(keys, states, strict=True)]

    def __getitem__(self, key: Key) -> TargetState:
        state = self.peek(key)
        if state is None:
            raise KeyError(key)
        return state

    def __setitem__(self, key: Key, state: TargetState) -> None:
        self._newer[key] = state

    def agenda(self) -> Iterator[tuple[Key, Agenda]]:
        """See TargetStates. With a store, all keys are cold after a load."""
        if self.store is None:
            for key, state in self._newer.items():
                yield key, state.agenda()
            return
        for name, value in self.store.scan(TARGET_STATES.prefix):
            yield Key(name[len(TARGET_STATES.prefix) :].decode()), agenda_of(value)

    def _hot(self, key: Key) -> TargetState | None:
        state = self._newer.get(key)
        return self._older.get(key) if state is None else state

    def _load_cold(self, key: Key) -> TargetState | None:
        if self.store is None:
            return None
        name = changed_key(key)
        value = None if self._spill is None else self._spill.get(name)
        if value is None:
            value = self.store.get(name)
        return None if value is None else decode_target(value)

    def _read_cold(self, keys: Sequence[Key]) -> dict[Key, TargetState]:
        """The states of those cold keys that have one."""
        if self.store is None or not keys:
            return {}
        areas = [] if self._spill is None else self._spill.areas()
        values = self.store.get_many([changed_key(key) for key in keys], (*areas, b""))
        return {key: decode_target(value) for key, value in zip(keys, values, strict=True) if value is not None}

    # ---------------------------------------------------------------- memory

    def hot_keys_max(self) -> int:
        """The number of keys that may be hot."""
        each = self._key_bytes
        least = max(2, min(HOT_KEYS_MIN, int(HOT_BYTES_MIN / each)))
        return max(least, int((self._budget.share() - self.other_bytes) / each))

    def _measure(self, *generations: dict[Key, TargetState]) -> None:
        """Measure the keys in memory, of which there are fewer if they are large."""
        self._changes = 0
        states = [state for generation in generations for state in generation.values()]
        if states:
            self._key_bytes = mean_bytes(states)

    def _follow_growth(self) -> None:
        """Evict keys if those in memory have grown. No state may be in use."""
        self._changes += len(self._changed)
        grown = self._changes > CHANGES_MEASURED * self.hot_keys()
        if grown:
            self._measure(self._newer, self._older)
        self._half = self.hot_keys_max() // 2
        if grown and len(self._newer) > self._half:
            self._start_generation()

    def checkpoint_due(self) -> bool:
        """Whether so many keys have changed that a checkpoint is due."""
        spilled = 0 if self._spill is None else len(self._spill)
        changed = len(self._changed) + self.pages.changed() + spilled
        return self.store is not None and changed > max(self._half, CHANGED_MAX)

    def _start_generation(self) -> None:
        """Begin a new generation and evict the older one. Keys in use are in the newer one."""
        self._measure(self._newer)
        self._half = self.hot_keys_max() // 2
        if self._spill is None:
            return
        self.settle()
        changed, in_checkpoint = self._changed, self._in_checkpoint
        unstored = [key for key in self._older if key in changed or key in in_checkpoint]
        if unstored:
            self._spill.put((changed_key(key), encode_target(self._older[key])) for key in unstored)
            changed.difference_update(unstored)
        metrics.COLD_KEYS.inc(len(self._older))
        self._older, self._newer = self._newer, {}

    def hot_keys(self) -> int:
        """The number of keys in memory."""
        return len(self._newer) + len(self._older)

    # ---------------------------------------------------------------- checkpoints

    def take_changed(self) -> set[Key]:
        """See TargetStates. ``spilled`` yields the records of evicted keys, which are older."""
        self._follow_growth()
        self._in_checkpoint, self._changed = self._changed, set()
        if self._spill is not None:
            self._spill.cut()
        return self._in_checkpoint

    def spilled(self) -> Iterator[tuple[bytes, bytes]]:
        """Records for the changelog that the last ``take_changed`` did not include, in order of their keys."""
        if self._spill is not None:
            yield from self._spill.records()

    def store_spilled(self) -> Iterator[None]:
        """Move spilled records to the state, after the commit. Keys may change in its pauses. Raises StoreError."""
        if self._spill is not None:
            yield from self._spill.promote()

    def stored(self) -> None:
        """Note that all of the last checkpoint is in the store."""
        self._in_checkpoint = set()
        self.pages.stored()

    # ---------------------------------------------------------------- waiting

    def wait(self, order: int, start: int, key: Key) -> bool:
        """See TargetStates. Raises StoreError."""
        return self._waiting.add(order, start, key)

    def take_waiting(self, order: int, start: int) -> Iterable[Key]:
        """See TargetStates. Raises StoreError."""
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
        """Update the gauges by what has changed since the last call."""
        self._gauges.settle()
        self._show_hot(self.hot_keys())

    def forget(self) -> None:
        """Remove all that was added to the gauges, and give the share of the budget to the other tasks."""
        self._gauges.forget()
        self._show_hot(0)
        self._budget.tasks.discard(id(self))

    def _show_hot(self, keys: int) -> None:
        metrics.HOT_KEYS.inc(keys - self._hot_exported)
        self._hot_exported = keys
