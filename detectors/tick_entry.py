"""Enters the events of closed ticks into the ledgers and the open five-minute windows.

A tick that may be part of a burst is judged by itself before it is merged into the five minutes.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from detectors.actors.rulings import Rulings
from detectors.containment import Containment
from detectors.events.event import METRICS
from detectors.events.key import Key, is_view, metric_of, target_of
from detectors.failures import UNCONTAINED
from detectors.intake.ticks import Tick
from detectors.judge import Judge
from detectors.measurement.early_windows import EarlyWindows
from detectors.measurement.other_metrics import OtherMetrics
from detectors.measurement.window_view import WindowView
from detectors.open_windows import OpenWindows
from detectors.pending_counts import PendingCounts
from detectors.platform.platform import Platform
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
    platforms: list[Platform]
    other_metrics: OtherMetrics
    rulings: Rulings

    def enter_all(self, tick: Tick, start: int, outcome: Outcome) -> Generator[None, None, int]:
        """Enter the events of a tick that no rule caught, with a pause after every few keys. Returns their number."""
        at, nobody, owners = ClosedTick(start, (tick.log_from, tick.log_to), outcome), tick.nobody, tick.owners
        entered = [0] * len(METRICS)
        closed, rows_by_key = 0, tick.by_key()
        while some := list(islice(rows_by_key, STEP_KEYS)):
            states = self.target_states.change_many([key for key, _, _ in some])
            for (key, rows, folded), state in zip(some, states, strict=True):
                owner = owners.get(target_of(key), -1) if owners else -1
                count = self.enter(key, rows, at, state=state, folded=folded, owner=owner, nobody=nobody.get(key, 0))
                entered[metric_of(key)] += count
            closed += len(some)
            if len(some) == STEP_KEYS:
                yield
        tick.entered = entered
        outcome.entered = [a + b for a, b in zip(outcome.entered, entered, strict=True)]
        outcome.windows += closed
        return sum(entered)

    def enter(
        self,
        key: Key,
        rows: bytes,
        at: ClosedTick,
        *,
        state: TargetState | None = None,
        folded: Crowd | None = None,
        owner: int = -1,
        nobody: int = 0,
    ) -> int:
        """Enter a key's events of a closed tick, without duplicates and undos. Returns their number.

        The events are packed ``rows``, a crowd of rows that were ``folded`` before, and ``nobody`` events without an
        actor. ``state`` is the key's, if it has been read.
        """
        start, log, outcome = at
        state = self.target_states.change(key) if state is None else state
        count = len(rows) // ROW_BYTES + nobody + (0 if folded is None else folded.n)
        state.ledger.valid += count
        if folded is not None and not is_view(key):
            state.unknown_acts += folded.n
        if not state.count_pending:
            self.pending_counts.add_state(key, state, start + self.scale.span_ms)
        minutes = self.windows.minutes(key, state, start, log)
        if owner >= 0:
            minutes.owner = max(minutes.owner, owner)
        unjudged = minutes.n - minutes.unjudged + count
        judged_alone = folded is not None or self._needs_judging(key, state, count, at)
        try:
            if not judged_alone:
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
            self.containment.record(("tick", error), key, start, unjudged, outcome)
            return count
        self._enter_early(key, state, at)
        return count

    def _enter_early(self, key: Key, state: TargetState, at: ClosedTick) -> None:
        try:
            self.early.entered(key, state)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # the windows are judged when they end
            at.outcome.fail("early", key, at.start, 0, error)

    def _needs_judging(self, key: Key, state: TargetState, count: int, at: ClosedTick) -> bool:
        try:
            return self.judge.needs_judging(state, count, self.platforms[metric_of(key)])
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # its five minutes are judged at their end
            at.outcome.fail("tick", key, at.start, 0, error)
            return False

    def _judge(self, key: Key, state: TargetState, crowd: Crowd, at: ClosedTick) -> None:
        """Judge a tick by itself."""
        start, log, outcome = at
        crowd.settle()
        crowd.log_from, crowd.log_to = log
        metric = metric_of(key)
        try:
            platform, reference = self.platforms[metric], self.other_metrics.reference(metric)
            window = WindowView(
                key, state, self.scale, start, crowd, platform, reference, outcome, rulings=self.rulings
            )
            self.judge.judge_tick(window)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # a failure ends this tick only
            self.containment.record_unjudged(("tick", error), key, crowd, outcome)
