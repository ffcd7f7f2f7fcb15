"""The time of the last progress of a worker's tasks, and since when records wait for a checkpoint. Probes use it."""

from __future__ import annotations

from dataclasses import dataclass, field

from faust.types import TP

from streams.clock import Clock


@dataclass(slots=True, kw_only=True)
class Activity:
    """The activity of all tasks of a worker. Times are monotonic seconds."""

    clock: Clock
    last_at: float = field(init=False)
    """when a task last took records or committed"""
    unsaved: dict[TP, float] = field(default_factory=dict)
    """partition → since when it has records that were taken and are in no committed checkpoint"""

    def __post_init__(self) -> None:
        self.last_at = self.clock.monotonic()

    def unsaved_since(self) -> float | None:
        """Since when the oldest of these records waits for a checkpoint; None if no record waits."""
        return min(self.unsaved.values(), default=None)

    def stepped(self, tp: TP, *, since: float, now: float) -> None:
        """Note that a task works on a batch. No checkpoint can be cut, so this time does not count as waiting."""
        self.last_at = now
        if tp in self.unsaved:
            self.unsaved[tp] += now - since

    def took(self, tp: TP) -> None:
        """Note that a task took a batch."""
        self.last_at = self.clock.monotonic()
        self.unsaved.setdefault(tp, self.last_at)

    def stored(self, now: float) -> None:
        """Note that a task wrote a part of a committed checkpoint to its disk."""
        self.last_at = now

    def committed(self, tp: TP, *, cut_at: float, more: bool) -> None:
        """Note that a checkpoint is committed. ``more``: records were taken after it was cut."""
        self.last_at = self.clock.monotonic()
        if more:
            self.unsaved[tp] = cut_at
        else:
            self.unsaved.pop(tp, None)

    def retain(self, assigned: set[TP]) -> None:
        """Remove partitions that are not assigned to this worker any more."""
        for tp in self.unsaved.keys() - assigned:
            del self.unsaved[tp]
