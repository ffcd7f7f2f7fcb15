"""Pending audited-count records, published every ``counts_seconds`` of event time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from detectors.events.key import Key, metric_name_of, target_of
from detectors.records import Count, Outcome
from detectors.state.target_state import TargetState
from detectors.state.target_states import CHANGED_AT_ONCE, TargetStates

PENDING_COUNT_BYTES = 700
"""Bytes of a pending count: its key, and later its record, the record's key and an entry in a list."""

STEP_COUNTS = CHANGED_AT_ONCE
"""Counts published between two pauses."""


class PendingCounts:
    """The keys whose counts have changed since they were last published."""

    def __init__(self, target_states: TargetStates, every_seconds: int, schedule: Callable[[int], None]) -> None:
        """``schedule`` is called with the moment at which ``publish`` is due, once for all keys until then."""
        self._target_states = target_states
        self._every_ms = every_seconds * 1000
        self._schedule = schedule
        self._keys: set[Key] = set()

    def add(self, key: Key, moment_ms: int) -> None:
        """Note that a key's count changed at ``moment_ms``."""
        if key not in self._keys:
            self.add_state(key, self._target_states.change(key), moment_ms)

    def add_state(self, key: Key, state: TargetState, moment_ms: int) -> None:
        """As ``add`` for a key without a pending count. ``state`` is its state, which may be changed."""
        if not self._keys:
            self._schedule_after(moment_ms)
        self._keys.add(key)
        state.count_pending = True

    def restore(self, key: Key, now_ms: int) -> None:
        """As ``add`` for a key whose restored state has a pending count."""
        if not self._keys:
            self._schedule_after(now_ms + 1)
        self._keys.add(key)

    def _schedule_after(self, moment_ms: int) -> None:
        every = self._every_ms
        self._schedule((max(moment_ms, 0) + every - 1) // every * every)

    def publish(self, as_of: int, outcome: Outcome) -> Iterator[None]:
        """Publish all pending counts in the order of their keys, with a pause after every few."""
        ordered = sorted(self._keys)
        for begin in range(0, len(ordered), STEP_COUNTS):
            yield
            keys = ordered[begin : begin + STEP_COUNTS]
            states = self._target_states.change_many(keys)
            outcome.counts += [_published(key, state, as_of) for key, state in zip(keys, states, strict=True)]
        self._keys.clear()

    def memory_bytes(self) -> int:
        """Estimated bytes in memory."""
        return len(self._keys) * PENDING_COUNT_BYTES


def _published(key: Key, state: TargetState, as_of: int) -> Count:
    state.count_pending = False
    ledger = state.ledger
    ledger.revision += 1
    return Count(  # by position: names take twice as long, and this is done for every target that changed
        target_of(key),
        metric_name_of(key),
        ledger.raw,
        ledger.valid,
        ledger.quarantined,
        dict(sorted(ledger.invalid.items())) if ledger.invalid else {},
        ledger.revision,
        as_of,
        state.incomplete,
        state.unjudged,
    )
