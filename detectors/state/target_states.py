"""The states of all targets and metrics of a partition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from detectors.events.key import Key
from detectors.state.target_state import Agenda, TargetState


class TargetStates(Protocol):
    """The states of all keys of a partition, which keys have changed, and which wait for the end of a window.

    An implementation may keep most states on a disk, so each call but ``take_changed`` may read one or raise
    MachineError. What it answers never depends on where a state is. An object that ``change`` or ``peek`` gave may be
    used until ``change`` is called for another key.
    """

    def change(self, key: Key) -> TargetState:
        """The state of a key, to be changed; a new one if there is none. The key counts as changed from now on."""
        ...

    def peek(self, key: Key) -> TargetState | None:
        """The state of a key, to be read only; None if there is none. It makes no key and marks none as changed."""
        ...

    def __getitem__(self, key: Key) -> TargetState:
        """As ``peek``. Raises KeyError if there is none."""
        ...

    def __setitem__(self, key: Key, state: TargetState) -> None:
        """Load the stored state of a key, before anything has changed. The key does not count as changed."""
        ...

    def agenda(self) -> Iterator[tuple[Key, Agenda]]:
        """What is still to come for every key, in any order. Asked once after a load, before anything has changed."""
        ...

    def wait(self, order: int, start: int, key: Key) -> bool:
        """Let a key wait for the end of the window of this scale that begins at ``start``.

        Answers whether it is the first that waits for this window. To wait twice is to wait once.
        """
        ...

    def waited(self, order: int, start: int) -> Iterable[Key]:
        """The keys that wait for this window, each once and in order; they wait no longer. There must be some.

        Keys may change, and wait for other windows, while the answer is read.
        """
        ...

    def take_changed(self) -> set[Key]:
        """Keys that have changed since the last call, without those whose records are already on the disk."""
        ...


class MemoryTargetStates:
    """All states in memory."""

    def __init__(self) -> None:
        self.states: dict[Key, TargetState] = {}
        self._changed: set[Key] = set()
        self._waiting: dict[tuple[int, int], set[Key]] = {}

    def change(self, key: Key) -> TargetState:
        """See Watches."""
        state = self.states.get(key)
        if state is None:
            state = self.states[key] = TargetState()
        self._changed.add(key)
        return state

    def peek(self, key: Key) -> TargetState | None:
        """See Watches."""
        return self.states.get(key)

    def __getitem__(self, key: Key) -> TargetState:
        return self.states[key]

    def __setitem__(self, key: Key, state: TargetState) -> None:
        self.states[key] = state

    def agenda(self) -> Iterator[tuple[Key, Agenda]]:
        """See Watches."""
        for key, state in self.states.items():
            yield key, state.agenda()

    def wait(self, order: int, start: int, key: Key) -> bool:
        """See Watches."""
        waiting = self._waiting.get((order, start))
        if waiting is None:
            self._waiting[order, start] = {key}
            return True
        waiting.add(key)
        return False

    def waited(self, order: int, start: int) -> Iterable[Key]:
        """See Watches."""
        return sorted(self._waiting.pop((order, start)))

    def take_changed(self) -> set[Key]:
        """See Watches."""
        changed, self._changed = self._changed, set()
        return changed
