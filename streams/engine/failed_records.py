"""Records of the log that could not be audited: their positions, what is done instead, and what is logged.

If auditing a record raises, the task starts again from its last checkpoint and does less with that record:

* its events: after any failure they are counted and not judged; after two of their own they go to the dead letters
* its watermark: after one failure, the windows that it closes are not judged; after two it is ignored

Positions with events that were not judged are part of the state: a restore and a rebuild must do the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

RANGES_MAX = 500
"""Most ranges of positions in the state, not counting those that a restore reads again."""


class FailureCounts(NamedTuple):
    """How often a record has failed: at its events, and at its watermark."""

    events: int = 0
    time: int = 0

    def counts_events(self) -> bool:
        """Whether its events are still counted."""
        return self.events < 2

    def judges_windows(self) -> bool:
        """Whether the windows that its watermark closes are judged."""
        return self.time == 0

    def advances_time(self) -> bool:
        """Whether its watermark is used."""
        return self.time < 2


Failed = dict[int, FailureCounts]
"""position of a record → how often it has failed since the last checkpoint"""


class Positions:
    """A set of positions of the log, stored as ranges (first and last of each) in order.

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
        """Add a position."""
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
        """The last RANGES_MAX ranges, and those that reach to ``needed_from`` or beyond. All others are dropped."""
        ranges = self._ranges[-RANGES_MAX:]
        if needed_from is not None:
            ranges = [one for one in self._ranges[:-RANGES_MAX] if one[1] >= needed_from] + ranges
        self._ranges = ranges
        return list(ranges)

    def total(self) -> int:
        """The number of positions."""
        return sum(last - first + 1 for first, last in self._ranges)
