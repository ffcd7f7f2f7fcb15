"""Records of the log that could not be audited: which ones, what is done with them instead, and what is logged of it.

A record is taken as it is; if that fails, the task starts again from its last checkpoint and does less with it. Its
events are counted and not judged, then not even counted, and go to the dead letters; the time that it tells passes
without judging what closes, then does not pass. Positions at which less was done are part of the state, because a
restore and a rebuild must do the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from detectors.records import Unjudged
from streams.clock import Clock

log = structlog.get_logger()

RANGES_KEPT = 500
"""Ranges of positions that the state has at most, besides those that a restore reads again."""

LOG_AGAIN_SECONDS = 60.0
"""The same failure is logged once in so long: a detector that always fails does so thousands of times a second."""
SIGNATURES_KEPT = 1_000


class Tries(NamedTuple):
    """How often a record has failed: at its events, and at the time that it tells."""

    events: int = 0
    time: int = 0

    def countable(self) -> bool:
        """Whether its events are still counted."""
        return self.events < 2

    def judged(self) -> bool:
        """Whether what its time closes is judged."""
        return self.time == 0

    def tells_time(self) -> bool:
        """Whether its time is taken."""
        return self.time < 2


Failed = dict[int, Tries]
"""Position → how often the record there has failed since the last checkpoint."""


class Positions:
    """Positions of the log as ranges, first and last of each, in order.

    >>> positions = Positions([(3, 4)])
    >>> positions.add(5); positions.add(9)
    >>> positions.ranges(), 4 in positions, 6 in positions
    ([(3, 5), (9, 9)], True, False)
    """

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges = sorted((int(first), int(last)) for first, last in ranges)

    def __contains__(self, position: int) -> bool:
        return bool(self._ranges) and any(first <= position <= last for first, last in reversed(self._ranges))

    def add(self, position: int) -> None:
        """Note one more."""
        if position in self:
            return
        ranges = sorted([*self._ranges, (position, position)])
        self._ranges = ranges[:1]
        for first, last in ranges[1:]:
            before = self._ranges[-1]
            if first == before[1] + 1:
                self._ranges[-1] = before[0], last
            else:
                self._ranges.append((first, last))

    def ranges(self, needed_from: int | None = None) -> list[tuple[int, int]]:
        """The last RANGES_KEPT of them, and all that reach to ``needed_from`` or beyond."""
        kept = self._ranges[-RANGES_KEPT:]
        if needed_from is not None:
            kept = [one for one in self._ranges[:-RANGES_KEPT] if one[1] >= needed_from] + kept
        self._ranges = kept
        return list(kept)

    def total(self) -> int:
        """How many positions they are."""
        return sum(last - first + 1 for first, last in self._ranges)


@dataclass(slots=True)
class FailureLog:
    """Logs what was contained, each failure once in LOG_AGAIN_SECONDS."""

    partition: int
    clock: Clock
    _logged_at: dict[tuple[str, str], float] = field(default_factory=dict)
    _left_out: dict[tuple[str, str], int] = field(default_factory=dict)

    def contained(self, failure: Unjudged, position: int) -> None:
        """A part of detection failed while the record at a position was taken."""
        signature = failure.part, failure.error
        now = self.clock.monotonic()
        if now - self._logged_at.get(signature, -LOG_AGAIN_SECONDS) < LOG_AGAIN_SECONDS:
            self._left_out[signature] = self._left_out.get(signature, 0) + 1
            return
        if len(self._logged_at) >= SIGNATURES_KEPT:
            self._logged_at.clear()
            self._left_out.clear()
        self._logged_at[signature] = now
        log.error(
            "detection failed and was left out; the counts are whole",
            partition=self.partition,
            position=position,
            part=failure.part,
            key=failure.key,
            window=failure.start,
            unjudged=failure.events,
            as_often_before=self._left_out.pop(signature, 0),
            failure=failure.error,
        )
