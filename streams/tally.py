"""What the targets of a task add to the gauges: the parts of their counts, their number, the open cases."""

from __future__ import annotations

from typing import NamedTuple

from detectors.events import METRICS
from detectors.watched import Watched, Watches
from streams import metrics


class _Share(NamedTuple):
    """What one target and metric adds."""

    valid: int = 0
    invalid: int = 0
    quarantined: int = 0
    targets: int = 0
    cases: int = 0


_NOTHING = _Share()
PARTS = ("valid", "invalid", "quarantined")


class TalliedWatches(Watches):
    """Watches that note what a key added before it was changed, so that a gauge moves by exactly the difference.

    Only the keys changed since the last ``settle`` are held; a sum over all of them would cost a second a million.
    """

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[str, _Share] = {}
        self._added: list[list[int]] = [[0] * len(_NOTHING) for _ in METRICS]

    def change(self, key: str) -> Watched:
        """See Watches."""
        if key not in self._before:
            self.note(key, self.get(key))
        return super().change(key)

    def note(self, key: str, watched: Watched | None) -> None:
        """Remember what a key adds before it changes."""
        self._before[key] = share_of(watched)

    def held(self, key: str) -> Watched | None:
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
        moved = [[0] * len(_NOTHING) for _ in METRICS]
        for key, before in self._before.items():
            row = moved[int(key[0])]
            for index, (now, then) in enumerate(zip(share_of(self.held(key)), before, strict=True)):
                row[index] += now - then
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


def share_of(watched: Watched | None) -> _Share:
    """What a key adds to the gauges."""
    if watched is None:
        return _NOTHING
    ledger = watched.ledger
    invalid = sum(ledger.invalid.values()) if ledger.invalid else 0
    return _Share(ledger.valid, invalid, ledger.quarantined, 1, int(watched.case is not None))
