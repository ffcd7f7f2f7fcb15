"""Past ticks: closed ticks whose acts rules still compare with, and their positions in the log.

A restore replays that part of the log. In a replay an event is late only if its tick was closed when it first came.
"""

from __future__ import annotations

from collections.abc import Sequence

from detectors.intake.ticks import Tick


class PastTicks:
    """See the module. Ticks are identified by their starts, in epoch ms."""

    def __init__(self) -> None:
        self._log: dict[int, tuple[int, int]] = {}
        """start → first and last position of its events"""
        self._before: dict[int, int] = {}
        """start → last position of its events, as stored before the restore"""

    def load(self, past: Sequence[tuple[int, int]]) -> None:
        """Load the result of ``dump``."""
        self._before = dict(past)

    def dump(self) -> list[tuple[int, int]]:
        """Start and last position of each tick, in order."""
        return [(start, log_to) for start, (_, log_to) in sorted(self._log.items())]

    def note(self, start: int, tick: Tick) -> None:
        """Add a tick that has closed."""
        self._log[start] = tick.log_from, tick.log_to

    def forget(self, until_ms: int) -> None:
        """Drop the ticks that began at ``until_ms`` or before."""
        for start in [start for start in self._log if start <= until_ms]:
            del self._log[start]

    def was_open(self, start: int, position: int) -> bool:
        """Whether a tick was open before the restore when the record at this position was read."""
        return position <= self._before.get(start, -1)

    def first_positions(self) -> list[int]:
        """First position of each tick in the log."""
        return [log_from for log_from, _ in self._log.values()]
