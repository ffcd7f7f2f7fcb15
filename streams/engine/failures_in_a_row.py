"""Failures of tasks without progress between them: a record, or state, that a task cannot get past."""

from __future__ import annotations

from dataclasses import dataclass, field

from faust.types import TP

from streams import metrics
from streams.clock import Clock

RECOVERED_SECONDS = 60.0
"""A task without new records is healthy again if it has not failed for so long."""


@dataclass(slots=True)
class _Row:
    role: str
    position: int
    """committed position at the last failure; -1 if not known"""
    failures: int = 0
    failed_at: float = 0.0


@dataclass(slots=True, kw_only=True)
class FailuresInARow:
    """Counts the failures of each task, and shows how many came without progress. Times are monotonic seconds."""

    clock: Clock
    _rows: dict[TP, _Row] = field(default_factory=dict)

    def failed(self, tp: TP, role: str, committed: int = -1) -> None:
        """A task has failed. Without ``committed``, its committed position, it could not be opened."""
        metrics.TASK_FAILURES.labels(role).inc()
        row = self._rows.setdefault(tp, _Row(role, committed))
        if committed > row.position:
            row.position, row.failures = committed, 0
        row.failures += 1
        row.failed_at = self.clock.monotonic()
        self._show(tp, row)

    def working(self, tp: TP, role: str, committed: int) -> None:
        """A task is open, and has committed this position."""
        row = self._rows.get(tp)
        if row is None:
            row = self._rows[tp] = _Row(role, committed)
            self._show(tp, row)
        elif row.position < 0:  # it could not be opened before, so this is no progress yet
            row.position = committed
        if row.failures and (committed > row.position or self.clock.monotonic() - row.failed_at > RECOVERED_SECONDS):
            row.position, row.failures = committed, 0
            self._show(tp, row)

    def retain(self, assigned: set[TP]) -> None:
        """Remove partitions that are not assigned to this worker any more."""
        for tp in self._rows.keys() - assigned:
            metrics.remove(metrics.FAILURES_IN_A_ROW, self._rows.pop(tp).role, tp.topic, str(tp.partition))

    def _show(self, tp: TP, row: _Row) -> None:
        metrics.FAILURES_IN_A_ROW.labels(row.role, tp.topic, str(tp.partition)).set(row.failures)
