"""Enters the events of closed ticks into the ledgers and the open five-minute windows.

A tick that may be part of a burst is judged by itself before it is merged into the five minutes.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from detectors.containment import Containment
from detectors.events.event import METRICS
from detectors.events.key import Key, is_view, metric_of, target_of
from detectors.failures import UNCONTAINED
from detectors.intake.ticks import Tick
from detectors.judge import TICK_EVENTS_MIN, Judge
from detectors.measurement.early_windows import EarlyWindows
from detectors.measurement.window_views import WindowViews
from detectors.open_windows import OpenWindows
from detectors.pending_counts import PendingCounts
from detectors.records import Outcome
from detectors.state.target_state import TargetState
from detectors.state.target_states import TargetStates
from detectors.windows.crowd import ROW_BYTES, Crowd
from detectors.windows.scales import Scale

STEP_KEYS = 32
"""Keys read together and entered between two pauses: some milliseconds of work. A pause takes 0.1 µs (measured)."""


class ClosedTick(NamedTuple):
    """A closed tick: start in epoch ms, its first and last position in the log, and the outcome of its step."""

    start: int
    log: tuple[int, int]
    outcome: Outcome
    owners: dict[str, int]
    """target → hash of its owner, if given"""
    nobody: dict[Key, int]
    """events without an actor"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TickEntry:
    """See the module. All fields belong to one audit."""

    scale: Scale
    """the tick's"""
    target_states: TargetStates
    windows: OpenWindows
    pending_counts: PendingCounts
    judge: Judge
    containment: Containment
    early: EarlyWindows
    views: WindowViews

    def enter_all(self, tick: Tick, start: int, outcome: Outcome) -> Generator[None, None, int]:
        """Enter the events of a tick that no rule caught, with a pause after every few keys. Returns their number."""
        at = ClosedTick(start, (tick.log_from, tick.log_to), outcome, tick.owners, tick.nobody)
        entered = [0] * len(METRICS)
        closed, rows_by_key = 0, iter(tick.by_key())
        while some := list(islice(rows_by_key, STEP_KEYS)):
            states = self.target_states.change_many([key for key, _, _ in some])
            for (key, rows, folded), state in zip(some, states, strict=True):
                entered[metric_of(key)] += self.enter(key, state, rows, folded, at)
            closed += len(some)
            if len(some) == STEP_KEYS:
                yield
        tick.entered = entered
        outcome.entered = [a + b for a, b in zip(outcome.entered, entered, strict=True)]
        outcome.windows += closed
        return sum(entered)

    def enter(self, key: Key, state: TargetState, rows: bytes, folded: Crowd | None, at: ClosedTick) -> int:
        """Enter a key's events of a closed tick, without duplicates and undos. Returns their number.

        The events are packed ``rows``, a crowd of rows that were ``folded`` before, and those without an actor. Most
        keys have few events, so as little as possible is called for these.
        """
        nobody = at.nobody.get(key, 0) if at.nobody else 0
        count = len(rows) // ROW_BYTES + nobody
        if folded is not None:
            count += folded.n
            if not is_view(key):
                state.unknown_acts += folded.n
        state.ledger.valid += count
        if not state.count_pending:
            self.pending_counts.add_state(key, state, at.start + self.scale.span_ms)
        minutes = self.windows.minutes(key, state, at.start, at.log)
        if at.owners:
            minutes.owner = max(minutes.owner, at.owners.get(target_of(key), -1))
        unjudged = minutes.n - minutes.unjudged + count
        few = count < TICK_EVENTS_MIN and folded is None and state.case is None
        try:
            if few or not (folded is not None or self._needs_judging(key, state, count, at)):
                minutes.take(rows, nobody)
            else:
                crowd = folded if folded is not None else Crowd()
                crowd.take(rows, nobody)
                self._judge(key, state, crowd, at)
                unjudged -= crowd.unjudged
                minutes.merge(crowd)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # the contents of a half-entered window are unknown
            del state.open["minutes"]
            self.containment.record(("tick", error), key, at.start, unjudged, at.outcome)
            return count
        try:
            self.early.entered(key, state, minutes)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # the windows are judged when they end
            at.outcome.fail("early", key, at.start, 0, error)
        return count

    def _needs_judging(self, key: Key, state: TargetState, count: int, at: ClosedTick) -> bool:
        try:
            return self.judge.needs_judging(state, count, self.views.platforms[metric_of(key)])
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # its five minutes are judged at their end
            at.outcome.fail("tick", key, at.start, 0, error)
            return False

    def _judge(self, key: Key, state: TargetState, crowd: Crowd, at: ClosedTick) -> None:
        """Judge a tick by itself."""
        start, log, outcome = at.start, at.log, at.outcome
        crowd.settle()
        crowd.log_from, crowd.log_to = log
        try:
            self.judge.judge_tick(self.views.view(0, start, (key, state, crowd), outcome))
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # a failure ends this tick only
            self.containment.record_unjudged(("tick", error), key, crowd, outcome)
