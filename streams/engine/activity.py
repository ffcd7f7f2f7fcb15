"""When the tasks of a worker last did something, and since when their records wait for a checkpoint: for the probes."""

from __future__ import annotations

from dataclasses import dataclass, field

from faust.types import TP

from streams.clock import Clock


@dataclass(slots=True, kw_only=True)
class Activity:
    """Times are monotonic seconds."""

    clock: Clock
    last_at: float = field(init=False)
    """when a task last took records or committed"""
    unsaved: dict[TP, float] = field(default_factory=dict)
    """since when a partition has records that were taken and are in no committed checkpoint"""

    def __post_init__(self) -> None:
        self.last_at = self.clock.monotonic()

    def unsaved_since(self) -> float | None:
        """The longest wait for a checkpoint, None if no record waits."""
        return min(self.unsaved.values(), default=None)

    def stepped(self, tp: TP, *, since: float, now: float) -> None:
        """A task is in the middle of a batch. No checkpoint can be cut, so this time does not count as waiting."""
        self.last_at = now
        if tp in self.unsaved:
            self.unsaved[tp] += now - since

    def took(self, tp: TP) -> None:
        """A task took a batch."""
        self.last_at = self.clock.monotonic()
        self.unsaved.setdefault(tp, self.last_at)

    def stored(self, now: float) -> None:
        """A task wrote a part of a committed checkpoint to its disk."""
        self.last_at = now

    def committed(self, tp: TP, *, cut_at: float, more: bool) -> None:
        """A checkpoint is committed; ``more`` if records were taken after it was cut."""
        self.last_at = self.clock.monotonic()
        if more:
            self.unsaved[tp] = cut_at
        else:
            self.unsaved.pop(tp, None)

    def keep(self, assigned: set[TP]) -> None:
        """Forget partitions that are not assigned to this worker any more."""
        for tp in self.unsaved.keys() - assigned:
            del self.unsaved[tp]
