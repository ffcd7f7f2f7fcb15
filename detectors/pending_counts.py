"""Counts that have changed and are still to be told: all of a partition's at the same moments of event time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from detectors.events.key import Key, metric_name_of, target_of
from detectors.records import Count, Outcome
from detectors.state.target_states import TargetStates

PENDING_COUNT_BYTES = 700
"""A count that is to be told: its key, and what it becomes all at once (a record, its key, its place in a list)."""

STEP_COUNTS = 256
"""Counts told before a pause."""


class PendingCounts:
    """The keys whose counts are to be told."""

    def __init__(self, target_states: TargetStates, every_seconds: int, schedule: Callable[[int], None]) -> None:
        """``schedule`` is asked to call ``tell`` at a moment, once for all keys until then."""
        self._target_states = target_states
        self._every_ms = every_seconds * 1000
        self._schedule = schedule
        self._keys: set[Key] = set()

    def add(self, key: Key, moment_ms: int) -> None:
        """A key's count changed at ``moment_ms``."""
        if not self._keys:
            self._schedule_after(moment_ms)
        if key not in self._keys:
            self._keys.add(key)
            self._target_states.change(key).count_pending = True

    def restore(self, key: Key, now_ms: int) -> None:
        """As ``add`` for a key whose state says that its count is to be told."""
        if not self._keys:
            self._schedule_after(now_ms + 1)
        self._keys.add(key)

    def _schedule_after(self, moment_ms: int) -> None:
        every = self._every_ms
        self._schedule((max(moment_ms, 0) + every - 1) // every * every)

    def publish(self, as_of: int, outcome: Outcome) -> Iterator[None]:
        """Tell all of them, in order of their keys, pausing after every few."""
        for number, key in enumerate(sorted(self._keys)):
            if number % STEP_COUNTS == 0:
                yield
            state = self._target_states.change(key)
            state.count_pending = False
            ledger = state.ledger
            ledger.revision += 1
            outcome.counts.append(
                Count(
                    target=target_of(key),
                    metric=metric_name_of(key),
                    raw=ledger.raw,
                    valid=ledger.valid,
                    quarantined=ledger.quarantined,
                    invalid=dict(sorted(ledger.invalid.items())) if ledger.invalid else {},
                    revision=ledger.revision,
                    as_of=as_of,
                    incomplete=state.incomplete,
                    unjudged=state.unjudged,
                )
            )
        self._keys.clear()

    def memory_bytes(self) -> int:
        """About what is in memory."""
        return len(self._keys) * PENDING_COUNT_BYTES
