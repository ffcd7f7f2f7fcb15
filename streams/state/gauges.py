"""What the targets of a task add to the gauges: the parts of their counts, their number, the open cases."""

from __future__ import annotations

from collections.abc import Callable

from detectors.events.event import METRICS
from detectors.events.key import Key, metric_of
from detectors.state.target_state import TargetState
from streams import metrics

Share = tuple[int, int, int, int, int]
"""What one target and metric adds: valid, invalid and quarantined events, targets, open cases."""

NOTHING: Share = (0, 0, 0, 0, 0)
PARTS = ("valid", "invalid", "quarantined")


class TargetGauges:
    """Moves the gauges by what has changed: for each key, the difference to what it added before.

    Only the keys that changed since the last ``settle`` are in memory. A sum over all keys would take a second for a
    million of them.
    """

    def __init__(self, current: Callable[[Key], TargetState | None]) -> None:
        """``current`` gives the state of a key that has been noted and not settled yet."""
        self.noted: dict[Key, Share] = {}
        """what a key added before it changed; always this dict, so that others may keep it"""
        self._current = current
        self._added: list[list[int]] = [[0] * len(NOTHING) for _ in METRICS]

    def note(self, key: Key, watched: TargetState | None) -> None:
        """Keep what a key adds before it changes. Once is enough until the next ``settle``: see ``noted``."""
        self.noted[key] = share_of(watched)

    def totals(self) -> list[list[int]]:
        """All that is shown, a row for each metric. It is stored: a sum over a million keys takes long."""
        self.settle()
        return [list(row) for row in self._added]

    def restored(self, totals: list[list[int]]) -> None:
        """Keys were just loaded: begin with their sum."""
        self._show([list(row) for row in totals])

    def settle(self) -> None:
        """Move the gauges by what has changed since the last call."""
        moved = [[0] * len(NOTHING) for _ in METRICS]
        current = self._current
        for key, (valid, invalid, quarantined, targets, cases) in self.noted.items():
            row = moved[metric_of(key)]
            now = share_of(current(key))
            row[0] += now[0] - valid
            row[1] += now[1] - invalid
            row[2] += now[2] - quarantined
            row[3] += now[3] - targets
            row[4] += now[4] - cases
        self.noted.clear()
        self._show(moved)

    def forget(self) -> None:
        """Take back all that was added: the targets are another worker's now."""
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


def share_of(watched: TargetState | None) -> Share:
    """What a key adds to the gauges."""
    if watched is None:
        return NOTHING
    ledger = watched.ledger
    invalid = sum(ledger.invalid.values()) if ledger.invalid else 0
    return ledger.valid, invalid, ledger.quarantined, 1, 0 if watched.case is None else 1
