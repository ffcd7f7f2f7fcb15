"""What could not be judged: noted with its key, counted, put off, or let pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from detectors.cases.closing_time import QUIET_MS
from detectors.events.key import Key, key_of, metric_of
from detectors.intake.intake import Intake
from detectors.intake.ticks import Tick
from detectors.measurement.early_windows import HOUR_ORDER
from detectors.pending_counts import PendingCounts
from detectors.records import Outcome
from detectors.state.target_states import TargetStates
from detectors.windows.crowd import Crowd
from detectors.windows.scales import MINUTES, Scale

PAUSE_KEYS = 32
"""Keys that are let pass before a pause."""


class TickSettlement(Protocol):
    """What is needed of the audit."""

    intake: Intake

    def settle_tick(self, tick: Tick, start: int, end: int, outcome: Outcome) -> None:
        """Enter what of a closed tick is in no window."""
        ...

    def schedule_case(self, close_at_ms: int, key: Key) -> None:
        """Look at this key's case again then."""
        ...


class Containment:
    """See the module. ``at`` is the moment of event time at which the audit is."""

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
        """Note that a window could not be judged. Each of its events counts once, however many of its windows fail."""
        events = crowd.n - crowd.unjudged
        crowd.events_judged = crowd.unjudged = crowd.n
        self.record(failure, key, crowd.start, events, outcome)

    def record(self, failure: tuple[str, Exception], key: Key, start: int, events: int, outcome: Outcome) -> None:
        """Note a failure, and that so many events of a key have not been judged."""
        part, error = failure
        outcome.fail(part, key, start, events, error)
        if events > 0:
            self._target_states.change(key).unjudged += events
            self._pending_counts.add(key, self.at)

    def record_early_failure(self, key: Key, order: int, error: Exception, outcome: Outcome) -> None:
        """See early.Desk: the windows stay open, and are judged at their end."""
        state = self._target_states.change(key)
        window, minutes = state.open[self._scales[order].name], state.open.get(MINUTES)
        self.record_unjudged(("early", error), key, window, outcome)
        if order == HOUR_ORDER and minutes is not None:
            self.record_unjudged(("early", error), key, minutes, outcome)
            window.events_judged += minutes.n

    def count(self, key: Key, events: int, outcome: Outcome) -> None:
        """Count events that are not judged."""
        state = self._target_states.change(key)
        state.ledger.accept(events)
        state.unjudged += events
        outcome.entered[metric_of(key)] += events
        self._pending_counts.add(key, self.at)

    def skip_judging(self, order: int, start: int, end: int, key: Key, outcome: Outcome) -> Iterator[None]:
        """Let pass what is due, without judging it; no window goes on in a longer one."""
        if order == 0:
            tick = self._audit.intake.take_out(start)
            for metric, heap in enumerate(tick.heaps):
                for number, (target, events) in enumerate(heap.counts().items()):
                    self.count(key_of(metric, target), events, outcome)
                    if number % PAUSE_KEYS == 0:
                        yield
            self._audit.settle_tick(tick, start, end, outcome)
        elif order < len(self._scales):
            for number, waiting in enumerate(self._target_states.waited(order, start)):
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
        """Look again later at what could not be closed: what it holds must not be held for ever."""
        state = self._target_states.change(key)
        due = state.case or state.explained
        if due is not None and due.close_at <= now:
            due.close_at = now + QUIET_MS
            self._audit.schedule_case(due.close_at, key)
