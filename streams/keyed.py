"""Keyed state in two places: hot keys as objects under a budget, all keys as bytes in the store.

Two generations of hot keys: what is touched moves to the newer one; when the newer one has half the room, the older is
let go, but for keys that changed since the last checkpoint, which the store does not have yet. Without a store (the
disk cannot be used) all keys stay in memory, whatever the budget says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from detectors.watched import Agenda, Watched
from streams import metrics
from streams.state import WATCHED_KEY, agenda_of, decode_watched
from streams.store import Store
from streams.tally import TalliedWatches

OBJECT_BYTES = 2_500
"""A key as objects before there is anything in it: a struct, its windows, their dicts (measured, CPython 3.11)."""
OBJECT_FACTOR = 9.0
"""Bytes as objects for a byte of msgpack (measured: 5,700 for 519, 18,100 for 1,944)."""
AVERAGE_FADING = 0.001
"""Weight of a record in the running mean of record sizes: about the last thousand."""
FIRST_RECORD_BYTES = 400.0
HOT_KEYS_MIN = 1_000
"""However small the budget, a task keeps this many keys hot."""


@dataclass(slots=True)
class Budget:
    """Bytes that the hot keys of all tasks of a worker may take together."""

    bytes: int
    tasks: set[int] = field(default_factory=set)

    def share(self) -> float:
        """Bytes for each task."""
        return self.bytes / max(1, len(self.tasks))


class KeyedState(TalliedWatches):
    """The watches of one task; the newer generation of hot keys is the dict itself."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.store: Store | None = None
        self.partial = False
        """the log is read from its middle: what is new here may have been counted before"""
        self._budget = budget
        self._older: dict[str, Watched] = {}
        self._record_bytes = FIRST_RECORD_BYTES
        self._hot_shown = 0
        budget.tasks.add(id(self))

    # ---------------------------------------------------------------- reading

    def __missing__(self, key: str) -> Watched:
        watched = self._fetch(key)
        if watched is None:
            raise KeyError(key)
        return watched

    def change(self, key: str) -> Watched:
        """See Watches. Raises StoreError or StateError if a cold key cannot be read."""
        watched = self.get(key)
        if watched is None:
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

    def agenda(self) -> Iterator[tuple[str, Agenda]]:
        """See Watches: asked once, after a restore, when with a store all keys are cold."""
        if self.store is None:
            yield from super().agenda()
            return
        for key, value in self.store.scan(WATCHED_KEY):
            yield key[len(WATCHED_KEY) :].decode(), agenda_of(value)

    # ---------------------------------------------------------------- room

    def weigh(self, record_bytes: int, records: int) -> None:
        """Learn how large changed keys are, from ``records`` of them with ``record_bytes`` bytes together."""
        if records:
            weight = min(1.0, AVERAGE_FADING * records)
            self._record_bytes += (record_bytes / records - self._record_bytes) * weight

    def room(self) -> int:
        """Keys that may be hot."""
        each = OBJECT_BYTES + OBJECT_FACTOR * self._record_bytes
        return max(HOT_KEYS_MIN, int(self._budget.share() / each))

    def crowded(self) -> bool:
        """Whether so many keys have changed that a checkpoint is due: only then can they be let go."""
        return self.store is not None and len(self._changed) > self.room() // 2

    def cool(self) -> None:
        """Let go of what is in the store and was not touched of late. Called when a checkpoint has been stored."""
        if self.store is None or len(self) <= self.room() // 2:
            return
        older, self._older = self._older, {}
        changed = self._changed
        kept = {key: older[key] for key in changed.intersection(older)}
        metrics.COLD_KEYS.inc(len(older) - len(kept))
        self._older = dict(self)
        self._older.update(kept)
        self.clear()

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

    def _fetch(self, key: str) -> Watched | None:
        watched = self._older.get(key)
        return self._thaw(key) if watched is None else watched

    def _thaw(self, key: str) -> Watched | None:
        if self.store is None:
            return None
        value = self.store.get(WATCHED_KEY + key.encode())
        return None if value is None else decode_watched(value)
