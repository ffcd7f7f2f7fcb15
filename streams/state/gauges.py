"""Gauges over the targets of a task: the parts of their counts, their number, and open cases."""

from __future__ import annotations

from collections.abc import Callable

from detectors.events.event import METRICS
from detectors.events.key import Key, metric_of
from detectors.state.target_state import TargetState
from streams import metrics

Contribution = tuple[int, int, int, int, int]
"""What one target and metric adds to the gauges: valid, invalid and quarantined events, targets, open cases."""

NOTHING: Contribution = (0, 0, 0, 0, 0)
PARTS = ("valid", "invalid", "quarantined")


class TargetGauges:
    """Updates the gauges by the change of each key since the last update.

    Only keys that changed since the last ``settle`` are in memory. A sum over a million keys would take a second.
    """

    def __init__(self, current: Callable[[Key], TargetState | None]) -> None:
        """``current`` returns the state of a key that was noted since the last ``settle``."""
        self.noted: dict[Key, Contribution] = {}
        """key → what it added before it changed. It is always this dict, so that callers may cache it"""
        self._current = current
        self._added: list[list[int]] = [[0] * len(NOTHING) for _ in METRICS]

    def note(self, key: Key, state: TargetState | None) -> None:
        """Note what a key adds before it changes. Once is enough until the next ``settle``: see ``noted``."""
        self.noted[key] = contribution_of(state)

    def totals(self) -> list[list[int]]:
        """The sum of all contributions, a row for each metric. It is stored, because summing a million keys is slow."""
        self.settle()
        return [list(row) for row in self._added]

    def restored(self, totals: list[list[int]]) -> None:
        """Begin with stored sums, after the keys were loaded."""
        self._show([list(row) for row in totals])

    def settle(self) -> None:
        """Update the gauges by what has changed since the last call."""
        moved = [[0] * len(NOTHING) for _ in METRICS]
        current = self._current
        for key, (valid, invalid, quarantined, targets, cases) in self.noted.items():
            row = moved[metric_of(key)]
            now = contribution_of(current(key))
            row[0] += now[0] - valid
            row[1] += now[1] - invalid
            row[2] += now[2] - quarantined
            row[3] += now[3] - targets
            row[4] += now[4] - cases
        self.noted.clear()
        self._show(moved)

    def forget(self) -> None:
        """Remove all that was added: another worker owns the targets now."""
        self.noted.clear()
        self._show([[-value for value in row] for row in self._added])

    def _show(self, moved: list[list[int]]) -> None:
        for metric, row, added in zip(METRICS, moved, self._added, strict=True):
            for index, value in enumerate(row):
                added[index] += value
            for part, value in zip(PARTS, row, strict=False):
                if value:
                    metrics.COUNTED.labels(metric, part).inc(value)
            metrics.TARGETS.inc(row[3])
            metrics.OPEN_CASES.inc(row[4])


def contribution_of(state: TargetState | None) -> Contribution:
    """What a key adds to the gauges."""
    if state is None:
        return NOTHING
    ledger = state.ledger
    invalid = sum(ledger.invalid.values()) if ledger.invalid else 0
    return ledger.valid, invalid, ledger.quarantined, 1, 0 if state.case is None else 1
