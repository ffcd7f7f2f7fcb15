"""Handles windows that could not be judged: their events are counted and recorded as unjudged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from detectors.cases.closing_time import QUIET_MS
from detectors.events.key import Key, is_view, metric_of
from detectors.intake.intake import Intake
from detectors.intake.ticks import Tick
from detectors.measurement.early_windows import HOUR_ORDER, grown
from detectors.pending_counts import PendingCounts
from detectors.records import Outcome
from detectors.state.target_states import TargetStates
from detectors.windows.crowd import Crowd
from detectors.windows.scales import MINUTES, Scale

PAUSE_KEYS = 32
"""Keys skipped between two pauses."""


class TickSettlement(Protocol):
    """What is needed to enter a tick without judging it. The audit implements it."""

    intake: Intake

    def settle_tick(self, tick: Tick, start: int, end: int, outcome: Outcome) -> None:
        """Enter the events of a closed tick that are in no window."""
        ...

    def schedule_case(self, close_at_ms: int, key: Key) -> None:
        """Check at ``close_at_ms`` whether this key's case can close."""
        ...


class Containment:
    """See the module. ``at`` is the audit's current event time."""

    def __init__(
        self,
        audit: TickSettlement,
        target_states: TargetStates,
        pending_counts: PendingCounts,
        scales: tuple[Scale, ...],
    ) -> None:
        self._audit = audit
        self._target_states = target_states
        self._pending_counts = pending_counts
        self._scales = scales
        self.at = 0

    def record_unjudged(self, failure: tuple[str, Exception], key: Key, crowd: Crowd, outcome: Outcome) -> None:
        """Record that a window could not be judged. Each event is recorded once, however many of its windows fail."""
        events = crowd.n - crowd.unjudged
        crowd.unjudged = crowd.n
        self.record(failure, key, crowd.start, events, outcome)

    def record(self, failure: tuple[str, Exception], key: Key, start: int, events: int, outcome: Outcome) -> None:
        """Record a failure, and the number of a key's events that were not judged because of it."""
        part, error = failure
        outcome.fail(part, key, start, events, error)
        if events > 0:
            self._target_states.change(key).unjudged += events
            self._pending_counts.add(key, self.at)

    def record_early_failure(self, key: Key, order: int, error: Exception, outcome: Outcome) -> None:
        """Record that an open window could not be judged. It stays open and is judged at its end."""
        state = self._target_states.change(key)
        window, minutes = state.open[self._scales[order].name], state.open.get(MINUTES)
        self.record_unjudged(("early", error), key, window, outcome)
        window.judge_from = grown(window.n)
        if order == HOUR_ORDER and minutes is not None:
            self.record_unjudged(("early", error), key, minutes, outcome)
            window.judge_from, minutes.judge_from = grown(window.n + minutes.n), grown(minutes.n)

    def count(self, key: Key, events: int, outcome: Outcome) -> None:
        """Count events without judging them."""
        state = self._target_states.change(key)
        state.ledger.accept(events)
        state.unjudged += events
        if not is_view(key):
            state.unknown_acts += events
        outcome.entered[metric_of(key)] += events
        self._pending_counts.add(key, self.at)

    def skip_judging(self, order: int, start: int, end: int, key: Key, outcome: Outcome) -> Iterator[None]:
        """Close what is due without judging it. No closed window is merged into a longer one."""
        if order == 0:
            tick = self._audit.intake.take_out(start)
            for number, (counted, events) in enumerate(tick.counts()):
                self.count(counted, events, outcome)
                if number % PAUSE_KEYS == 0:
                    yield
            self._audit.settle_tick(tick, start, end, outcome)
        elif order < len(self._scales):
            for number, waiting in enumerate(self._target_states.take_waiting(order, start)):
                state = self._target_states.change(waiting)
                crowd = state.open.pop(self._scales[order].name, None)
                if crowd is not None and crowd.n > crowd.unjudged:
                    state.unjudged += crowd.n - crowd.unjudged
                    self._pending_counts.add(waiting, end)
                if number % PAUSE_KEYS == 0:
                    yield
        else:
            self.postpone(key, end)

    def postpone(self, key: Key, now: int) -> None:
        """Retry later to close a case that could not be closed. Otherwise its events stay in quarantine for ever."""
        state = self._target_states.change(key)
        for due in (state.case or state.explained, state.rule_burst, *state.settlements):
            if due is not None and due.close_at <= now:
                due.close_at = now + QUIET_MS
                self._audit.schedule_case(due.close_at, key)
