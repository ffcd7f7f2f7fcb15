"""Gauges over the targets of a task: the parts of their counts, their number, and open cases."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from detectors.events.event import METRICS
from detectors.events.key import Key, metric_of
from detectors.state.ledger import UNDONE
from detectors.state.target_state import TargetState
from streams import metrics
from streams.metric_series import COUNT_PARTS

Contribution = tuple[int, int, int, int, int, int]
"""What one target and metric adds to the gauges: valid, invalid and quarantined events, targets, open cases, and the
undone part of the invalid events."""

NOTHING: Contribution = (0, 0, 0, 0, 0, 0)


class TargetGauges:
    """Updates the gauges by the change of each key since the last update.

    Only keys that changed since the last ``settle`` are in memory. A sum over a million keys would take a second.
    """

    def __init__(self, current: Callable[[Key], TargetState | None], partition: int) -> None:
        """``current`` returns the state of a key that was noted since the last ``settle``."""
        self._partition = str(partition)
        self._shown = False
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
        """Begin with stored sums, after the keys were loaded. Sums of an older version lack the undone events."""
        for added, row in zip(self._added, totals, strict=False):
            added[:] = [a + b for a, b in zip(added, row, strict=True)]
        self._show()

    def settle(self) -> None:
        """Update the gauges by what has changed since the last call."""
        added = self._added
        current = self._current
        for key, (valid, invalid, quarantined, targets, cases, undone) in self.noted.items():
            row = added[metric_of(key)]
            now = contribution_of(current(key))
            row[0] += now[0] - valid
            row[1] += now[1] - invalid
            row[2] += now[2] - quarantined
            row[3] += now[3] - targets
            row[4] += now[4] - cases
            row[5] += now[5] - undone
        self.noted.clear()
        self._show()

    def forget(self) -> None:
        """Remove the series of this partition: another worker shows it now."""
        self.noted.clear()
        if not self._shown:
            return
        self._shown = False
        for metric, part in product(METRICS, COUNT_PARTS):
            metrics.remove(metrics.COUNTED, self._partition, metric, part)
        for gauge in (metrics.TARGETS, metrics.OPEN_CASES):
            metrics.remove(gauge, self._partition)

    def _show(self) -> None:
        self._shown = True
        for metric, (valid, invalid, quarantined, _, _, undone) in zip(METRICS, self._added, strict=True):
            for part, events in zip(COUNT_PARTS, (valid, invalid - undone, quarantined, undone), strict=True):
                metrics.COUNTED.labels(self._partition, metric, part).set(events)
        metrics.TARGETS.labels(self._partition).set(sum(row[3] for row in self._added))
        metrics.OPEN_CASES.labels(self._partition).set(sum(row[4] for row in self._added))


def contribution_of(state: TargetState | None) -> Contribution:
    """What a key adds to the gauges."""
    if state is None:
        return NOTHING
    ledger = state.ledger
    invalid, undone = (sum(ledger.invalid.values()), ledger.invalid.get(UNDONE, 0)) if ledger.invalid else (0, 0)
    return ledger.valid, invalid, ledger.quarantined, 1, 0 if state.case is None else 1, undone
