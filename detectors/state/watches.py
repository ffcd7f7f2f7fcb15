"""All targets and metrics that a partition keeps state of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from detectors.events.key import Key
from detectors.state.watched import Agenda, Watched


class Watches(dict[Key, Watched]):
    """In-memory state of all keys; remembers which have changed since ``take_changed``."""

    def __init__(self) -> None:
        super().__init__()
        self._changed: set[Key] = set()
        self._waiting: dict[tuple[int, int], set[Key]] = {}

    def change(self, key: Key) -> Watched:
        """The state of a key, to be changed; made if it is new."""
        watched = self.get(key)
        if watched is None:
            watched = self[key] = Watched()
        self._changed.add(key)
        return watched

    def peek(self, key: Key) -> Watched | None:
        """The state of a key, to be read only; None if there is none."""
        try:
            return self[key]
        except KeyError:
            return None

    def agenda(self) -> Iterator[tuple[Key, Agenda]]:
        """What is still to come, for every key, in any order."""
        for key, watched in self.items():
            yield key, watched.agenda()

    def wait(self, order: int, start: int, key: Key) -> bool:
        """Let a key wait for the end of the window of this scale that begins at ``start``; whether it is the first."""
        waiting = self._waiting.get((order, start))
        if waiting is None:
            self._waiting[order, start] = {key}
            return True
        waiting.add(key)
        return False

    def waited(self, order: int, start: int) -> Iterable[Key]:
        """The keys that have waited for this window, in order; they wait no longer."""
        return sorted(self._waiting.pop((order, start)))

    def take_changed(self) -> set[Key]:
        """Keys changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed
