"""The closed ticks that rules still compare acts with, and where in the log their events are.

A restore reads that part of the log again. An event that is late now was on time if its tick was open when it came.
"""

from __future__ import annotations

from collections.abc import Sequence

from detectors.intake.ticks import Tick


class PastTicks:
    """See the module. Ticks are named by their starts, in epoch ms."""

    def __init__(self) -> None:
        self._log: dict[int, tuple[int, int]] = {}
        """start → first and last position of its events"""
        self._before: dict[int, int] = {}
        """start → last position of its events, as it was stored before the restore"""

    def load(self, past: Sequence[tuple[int, int]]) -> None:
        """Take what ``dump`` gave."""
        self._before = dict(past)

    def dump(self) -> list[tuple[int, int]]:
        """Start and last position of each, in order."""
        return [(start, log_to) for start, (_, log_to) in sorted(self._log.items())]

    def note(self, start: int, tick: Tick) -> None:
        """A tick has closed."""
        self._log[start] = tick.log_from, tick.log_to

    def forget(self, until_ms: int) -> None:
        """Forget the ticks that began at ``until_ms`` or before."""
        for start in [start for start in self._log if start <= until_ms]:
            del self._log[start]

    def was_open(self, start: int, position: int) -> bool:
        """Whether a tick was open, before the restore, when the record at this position came."""
        return position <= self._before.get(start, -1)

    def first_positions(self) -> list[int]:
        """Where in the log the events of each begin."""
        return [log_from for log_from, _ in self._log.values()]
