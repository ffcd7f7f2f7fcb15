"""The states of all targets and metrics of a partition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from detectors.events.key import Key
from detectors.state.relation_pages import MemoryPages, RelationPages
from detectors.state.target_state import Agenda, TargetState

CHANGED_AT_ONCE = 256
"""Most keys of one ``change_many`` or ``peek_many``: they are all in memory together, whatever the memory budget is."""


class TargetStates(Protocol):
    """The states of all keys of a partition, which keys have changed, and which wait for the end of a window.

    An implementation may store most states on disk, so every call except ``take_changed`` may read one or raise
    MachineError. Results never depend on where a state is. An object returned by ``change`` or ``peek`` may be used
    until ``change`` is called for another key.
    """

    @property
    def pages(self) -> RelationPages:
        """The pages of relations of all keys."""
        ...

    def change(self, key: Key) -> TargetState:
        """The state of a key, to be changed; a new one if there is none. Marks the key as changed."""
        ...

    def change_many(self, keys: Sequence[Key]) -> list[TargetState]:
        """As ``change`` for each of at most CHANGED_AT_ONCE distinct keys, read from the disk together.

        All of them may be used until ``change`` or ``change_many`` is called for a key that is not among them. Reading
        (``peek``) any key leaves them valid.
        """
        ...

    def peek(self, key: Key) -> TargetState | None:
        """The state of a key, read only; None if there is none. Adds no key and marks none as changed."""
        ...

    def peek_many(self, keys: Sequence[Key]) -> list[TargetState | None]:
        """As ``peek`` for each of at most CHANGED_AT_ONCE keys, read from the disk together."""
        ...

    def __getitem__(self, key: Key) -> TargetState:
        """As ``peek``. Raises KeyError if there is none."""
        ...

    def __setitem__(self, key: Key, state: TargetState) -> None:
        """Load the stored state of a key, before anything has changed. Does not mark the key as changed."""
        ...

    def agenda(self) -> Iterator[tuple[Key, Agenda]]:
        """The agenda of every key, in any order. Called once after a load, before anything has changed."""
        ...

    def wait(self, order: int, start: int, key: Key) -> bool:
        """Add a key to those that wait for the end of the window of scale ``order`` that begins at ``start``.

        Returns whether it is the first key of this window. Adding a key again has no effect.
        """
        ...

    def take_waiting(self, order: int, start: int) -> Iterable[Key]:
        """Remove and return the keys that wait for this window, each once, in order. There must be at least one.

        Keys may change, and wait for other windows, while the result is read.
        """
        ...

    def take_changed(self) -> set[Key]:
        """Keys that have changed since the last call, without those whose records are already on disk."""
        ...


class MemoryTargetStates:
    """All states in memory."""

    def __init__(self) -> None:
        self.states: dict[Key, TargetState] = {}
        self.pages: RelationPages = MemoryPages()
        self._changed: set[Key] = set()
        self._waiting: dict[tuple[int, int], set[Key]] = {}

    def change(self, key: Key) -> TargetState:
        """See TargetStates."""
        state = self.states.get(key)
        if state is None:
            state = self.states[key] = TargetState()
        self._changed.add(key)
        return state

    def change_many(self, keys: Sequence[Key]) -> list[TargetState]:
        """See TargetStates."""
        self._changed.update(keys)
        states = self.states
        return [states.get(key) or self.change(key) for key in keys]

    def peek(self, key: Key) -> TargetState | None:
        """See TargetStates."""
        return self.states.get(key)

    def peek_many(self, keys: Sequence[Key]) -> list[TargetState | None]:
        """See TargetStates."""
        return [self.states.get(key) for key in keys]

    def __getitem__(self, key: Key) -> TargetState:
        return self.states[key]

    def __setitem__(self, key: Key, state: TargetState) -> None:
        self.states[key] = state

    def agenda(self) -> Iterator[tuple[Key, Agenda]]:
        """See TargetStates."""
        for key, state in self.states.items():
            yield key, state.agenda()

    def wait(self, order: int, start: int, key: Key) -> bool:
        """See TargetStates."""
        waiting = self._waiting.get((order, start))
        if waiting is None:
            self._waiting[order, start] = {key}
            return True
        waiting.add(key)
        return False

    def take_waiting(self, order: int, start: int) -> Iterable[Key]:
        """See TargetStates."""
        return sorted(self._waiting.pop((order, start)))

    def take_changed(self) -> set[Key]:
        """See TargetStates."""
        changed, self._changed = self._changed, set()
        return changed
