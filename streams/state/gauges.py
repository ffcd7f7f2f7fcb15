"""What the targets of a task add to the gauges: the parts of their counts, their number, the open cases."""

from __future__ import annotations

from detectors.events.event import METRICS
from detectors.events.key import Key, metric_of
from detectors.state.watched import Watched
from detectors.state.watches import Watches
from streams import metrics

Share = tuple[int, int, int, int, int]
"""What one target and metric adds: valid, invalid and quarantined events, targets, open cases."""

NOTHING: Share = (0, 0, 0, 0, 0)
PARTS = ("valid", "invalid", "quarantined")


class TalliedWatches(Watches):
    """Watches that note what a key added before it was changed, so that a gauge moves by exactly the difference.

    Only the keys changed since the last ``settle`` are held; a sum over all of them would cost a second a million.
    """

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[Key, Share] = {}
        self._added: list[list[int]] = [[0] * len(NOTHING) for _ in METRICS]

    def change(self, key: Key) -> Watched:
        """See Watches."""
        if key not in self._before:
            self.note(key, self.get(key))
        return super().change(key)

    def note(self, key: Key, watched: Watched | None) -> None:
        """Remember what a key adds before it changes."""
        self._before[key] = share_of(watched)

    def held(self, key: Key) -> Watched | None:
        """The state of a key that was changed since the last ``settle``."""
        return self.get(key)

    def totals(self) -> list[list[int]]:
        """All that is shown, a row a metric: part of the state, because a sum over a million keys takes long."""
        self.settle()
        return [list(row) for row in self._added]

    def restored(self, totals: list[list[int]]) -> None:
        """Keys were just loaded: begin with their sum."""
        self._show([list(row) for row in totals])

    def settle(self) -> None:
        """Move the gauges by what has changed since the last call."""
        moved = [[0] * len(NOTHING) for _ in METRICS]
        held = self.held
        for key, (valid, invalid, quarantined, targets, cases) in self._before.items():
            row = moved[metric_of(key)]
            now = share_of(held(key))
            row[0] += now[0] - valid
            row[1] += now[1] - invalid
            row[2] += now[2] - quarantined
            row[3] += now[3] - targets
            row[4] += now[4] - cases
        self._before.clear()
        self._show(moved)

    def forget(self) -> None:
        """Take back all that was added: the targets are another worker's now."""
        self._before.clear()
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


def share_of(watched: Watched | None) -> Share:
    """What a key adds to the gauges."""
    if watched is None:
        return NOTHING
    ledger = watched.ledger
    invalid = sum(ledger.invalid.values()) if ledger.invalid else 0
    return ledger.valid, invalid, ledger.quarantined, 1, 0 if watched.case is None else 1
