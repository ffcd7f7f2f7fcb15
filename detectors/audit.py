"""The audit of one partition: events in; windows, verdicts, corrections and counts out.

It is deterministic. ``observe`` takes events. ``advance`` moves event time and closes windows, the shortest scale
first, targets in the order of their ids. The live worker, the offline replay and the tests all use it.

Millions of windows may close at one moment. ``steps`` does the work of ``advance`` in small steps, so that a worker can
do other work in between. The result does not depend on these pauses.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from detectors.actors.rulings import Rulings
from detectors.audit_settings import AuditSettings
from detectors.campaigns.bands import Bands
from detectors.cases.case_records import CaseRecords
from detectors.cases.explanations import Explanations
from detectors.cases.flags import Flags
from detectors.cases.given_back import GivenBack
from detectors.cases.incidents import Incidents
from detectors.cases.rule_bursts import RuleBursts
from detectors.cases.settlements import Settlements
from detectors.closing.closing import WindowClosing
from detectors.closing.early_judge import EarlyJudge
from detectors.containment import Containment
from detectors.control_entry import ControlEntry
from detectors.controls import ToTargets
from detectors.events.block import EventBlock
from detectors.events.event import METRICS
from detectors.events.key import NO_KEY, Key, metric_of
from detectors.failures import UNCONTAINED
from detectors.intake.intake import Intake
from detectors.intake.rules.automated import reject_automated, reject_replays
from detectors.intake.rules.reasons import ALREADY_COUNTED, AUTOMATED_ACTOR, AUTOMATED_REPLAY
from detectors.intake.ticks import Tick
from detectors.judge import Judge
from detectors.measurement.early_windows import EarlyContext, EarlyWindows
from detectors.measurement.other_metrics import OtherMetrics
from detectors.measurement.window_views import WindowViews
from detectors.open_windows import Due, OpenWindows
from detectors.pending_counts import PendingCounts
from detectors.platform.platform import Platform
from detectors.platform.rule_shares import RuleShares
from detectors.records import Hit, Outcome
from detectors.relations.relation_entry import RelationEntry
from detectors.rollback import Savepoint
from detectors.state.target_states import MemoryTargetStates, TargetStates
from detectors.stored_parts import stored_parts
from detectors.tick_entry import TickEntry
from detectors.windows.scales import HOUR_MS, ladder, parts_of

__all__ = ("Audit", "AuditSettings")

CASE_ORDER = 8
COUNTS_ORDER = 9
"""Order of work that is due at the same moment: windows by scale (0 … 3), then cases that end, then counts."""


class Audit:
    """Windows, cases and counts of the targets of one partition."""

    def __init__(self, settings: AuditSettings, target_states: TargetStates | None = None) -> None:
        self.settings = settings
        self.scales = ladder(settings.tick_seconds, settings.partition)
        self.target_states: TargetStates = MemoryTargetStates() if target_states is None else target_states
        self.platforms = [Platform(settings.models) for _ in METRICS]
        self.intake = Intake(self, self.scales[0], settings.dedupe_ids, settings.rules)
        self.relations = RelationEntry(self.target_states, on=ALREADY_COUNTED not in settings.rules.off)
        self.pending_counts = PendingCounts(self.target_states, settings.counts_seconds, self._schedule_counts)
        self.due: list[Due] = []
        self._windows = OpenWindows(self.target_states, self.scales, self.due)
        self.now = -1
        self.rulings = Rulings()
        self._rule_shares = [RuleShares() for _ in METRICS]
        self._incidents, self._settlements, self._explanations, self._rule_bursts, self._judge = self._make_judge(
            settings
        )
        self.bands = Bands(settings.partitions)
        other_metrics = OtherMetrics(self.target_states, self.platforms, self.scales)
        views = WindowViews(self.platforms, other_metrics, self.rulings, self.scales, parts_of(self.scales))
        self._containment = Containment(self, self.target_states, self.pending_counts, self.scales)
        self._early = EarlyWindows(
            EarlyContext(
                *(self.target_states, views, EarlyJudge(self._judge, self.bands)),
                self._containment.record_early_failure,
            )
        )
        self._window_closing = WindowClosing(
            *(self.target_states, views, self._windows, self._judge, self.bands, self.intake.rules, self._early),
            *(self._containment.record_unjudged, self._containment.record),
        )
        self.ticks = TickEntry(
            scale=self.scales[0],
            target_states=self.target_states,
            windows=self._windows,
            pending_counts=self.pending_counts,
            judge=self._judge,
            containment=self._containment,
            early=self._early,
            views=views,
        )
        self._controls = ControlEntry(self.target_states, self._settlements, self.rulings, self.platforms, self.scales)
        self._at = 0
        self.parts = stored_parts(self.target_states, self.platforms, self.bands.lockstep, self.rulings, self.intake)
        """all stored state except the result of ``dump``"""

    def _make_judge(self, settings: AuditSettings) -> tuple[Incidents, Settlements, Explanations, RuleBursts, Judge]:
        flags = Flags(partition=settings.partition, config=settings.config)
        records = CaseRecords(self, flags)
        settle_ms = settings.settle_hours * HOUR_MS
        settlements = Settlements(self, records, partition=settings.partition, settle_ms=settle_ms)
        given_back = GivenBack(self.rulings.conduct, records)
        incidents = Incidents(self, self.scales, records, settlements, given_back)
        explanations = Explanations(
            self.schedule_case, enabled=settings.explained, promotions=settings.promotions, flags=flags
        )
        judge = Judge(
            self.scales,
            incidents,
            explanations,
            shadow=settings.shadow,
            models=settings.models,
            rulebook=settings.rulebook,
            settles=settings.settle_hours > 0,
        )
        rule_bursts = RuleBursts(self.target_states, self.schedule_case, flags, self._rule_shares)
        return incidents, settlements, explanations, rule_bursts, judge

    # ---------------------------------------------------------------- events

    def observe(self, block: EventBlock, position: int, outcome: Outcome) -> None:
        """Take a block of events, read from ``position`` of the log. Late events are counted at once."""
        self.intake.observe(block, position, outcome)

    def replay(self, block: EventBlock, position: int) -> None:
        """Observe a block again after ``load``: restores the events of open windows and ignores the others."""
        self.intake.replay(block, position)

    def count(self, block: EventBlock, position: int, outcome: Outcome, *, replayed: bool = False) -> None:
        """Count a block at which ``observe`` (or ``replay``) fails, without judging its events."""
        self.intake.count(block, position, outcome, replayed=replayed)

    def control(self, record: ToTargets, position: int, outcome: Outcome) -> None:
        """Take a control record of ``actors``, read from ``position`` of the log. It takes effect at once.

        Like every event before the position of a checkpoint, it must not be given again after a restart.
        """
        self._at = self.now + 1  # what was due by now has been done
        self._controls.take(record, self.now, outcome)

    def expect_tick(self, start: int) -> None:
        """See intake.TickSchedule."""
        heapq.heappush(self.due, (start + self.scales[0].span_ms, 0, start, NO_KEY))

    def enter_at_once(
        self, events: Hit, *, undo: bool, outcome: Outcome, related: Sequence[tuple[int, int]] = ()
    ) -> None:
        """See history.HistoricCounts."""
        state = self.target_states.change(events.key)
        if state.removals is not None and not undo:
            state.removals.raw += events.events  # they do not belong to the current five minutes
        if undo:
            self.relations.undo_at_once(events, state, related, self.now, outcome)
        elif events.reason:
            self._reject(events, outcome)
        else:
            already = self.relations.enter_acts(events, state, related, self.now, outcome)
            outcome.entered[metric_of(events.key)] += events.events - already
            if already:
                self._reject(events._replace(reason=ALREADY_COUNTED, events=already), outcome)
        self.pending_counts.add(events.key, self.now + 1)

    def learn_historic_actors(self, metric: int, actors: list[int]) -> None:
        """See history.HistoricCounts."""
        self.platforms[metric].learn_historic_actors(actors)

    def _reject(self, hit: Hit, outcome: Outcome) -> None:
        self.target_states.change(hit.key).ledger.reject(hit.reason, hit.events)
        outcome.hits.append(hit)

    # ---------------------------------------------------------------- time

    def advance(self, now_ms: int, outcome: Outcome) -> None:
        """Move event time to ``now_ms`` and close everything that is due by then, in order."""
        for _ in self.steps(now_ms, outcome):
            pass

    def steps(self, now_ms: int, outcome: Outcome) -> Iterator[None]:
        """As ``advance``, with a pause after every few keys.

        Call no other method before it has ended: until then the audit is between two positions of the log.
        """
        yield from self._steps(now_ms, outcome, judged=True)

    def skip_judging(self, now_ms: int, outcome: Outcome) -> Iterator[None]:
        """Replace ``steps`` where that fails: count what closes, but judge and learn nothing."""
        yield from self._steps(now_ms, outcome, judged=False)

    def _steps(self, now_ms: int, outcome: Outcome, *, judged: bool) -> Iterator[None]:
        if now_ms <= self.now:
            return
        due = self.due
        while due and due[0][0] <= now_ms:
            end, order, start, key = heapq.heappop(due)
            self._at = self._containment.at = end
            if not judged and order != COUNTS_ORDER:
                yield from self._containment.skip_judging(order, start, end, key, outcome)
            elif order == 0:
                yield from self._close_tick(start, end, outcome)
            elif order < len(self.scales):
                yield from self._window_closing.close(order, start, end, outcome)
            elif order == COUNTS_ORDER:
                # Events from before event time began (history) are counted as of the moment at which it begins.
                yield from self.pending_counts.publish(end or min(now_ms, due[0][0] if due else now_ms), outcome)
            elif order == CASE_ORDER:
                self._expire(key, end, outcome)
        self.now = now_ms
        self.intake.horizon = self.scales[0].start(now_ms)

    def _expire(self, key: Key, now: int, outcome: Outcome) -> None:
        state = self.target_states.change(key)
        for expire in (
            self._incidents.expire,
            self._explanations.expire,
            self._rule_bursts.expire,
            self._settlements.expire,
        ):
            savepoint = Savepoint(state, outcome)
            try:
                expire(key, state, now, outcome)
            except UNCONTAINED:
                raise
            except Exception as error:  # noqa: BLE001  # a failure ends this case only
                savepoint.restore()
                outcome.fail("case", key, now, 0, error)
        self._containment.postpone(key, now)

    def _close_tick(self, start: int, end: int, outcome: Outcome) -> Iterator[None]:
        tick = self.intake.close(start)
        for error in tick.failures:
            outcome.fail("rules", NO_KEY, start, 0, error)
        self._reject_automated(tick, start, end, outcome)
        yield from self.relations.settle(tick, start, outcome)
        entered = yield from self.ticks.enter_all(tick, start, outcome)
        yield from self._early.take(end, entered, outcome)
        self.settle_tick(tick, start, end, outcome)
        try:
            self._rule_bursts.settle(tick, start, end, outcome)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # a failure costs this tick's part of rule bursts only
            outcome.fail("rules", NO_KEY, start, 0, error)

    def _reject_automated(self, tick: Tick, start: int, end: int, outcome: Outcome) -> None:
        """Reject what programs do, by the rulings that are in force when the tick closes."""
        try:
            if AUTOMATED_ACTOR not in (off := self.settings.rules.off):
                reject_automated(tick, self.rulings.conduct.automated(end))
            if AUTOMATED_REPLAY not in off:
                in_force = self.rulings.replays.in_force(end)
                reject_replays(tick, in_force.targets, in_force.actors)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # the events are counted without the rule
            outcome.fail("rules", NO_KEY, start, 0, error)

    def settle_tick(self, tick: Tick, start: int, end: int, outcome: Outcome) -> None:
        """Enter the events of a closed tick that are in no window: invalid ones, undos, those that are only counted."""
        for (key, _), count in sorted(tick.counted.items()) if tick.counted else ():
            self._containment.count(key, count, outcome)
        for (key, reason), count in sorted(tick.rejected.items()) if tick.rejected else ():
            self._reject(Hit(key, reason, start, end, count), outcome)
            self.pending_counts.add(key, end)
        for key in self.relations.enter_undos(tick, end, outcome) if tick.has_undos() else ():
            self.pending_counts.add(key, end)

    # ---------------------------------------------------------------- counts

    def restart_key(self, key: Key) -> None:
        """Start a key from zero because its stored state was lost. All its later counts are marked incomplete."""
        self.target_states.change(key).incomplete = True
        self.pending_counts.add(key, self.now + 1)

    def lose_relations(self, key: Key) -> None:
        """Note that a page of a key's relations was lost."""
        self.relations.lose(key)

    def changed(self, key: Key) -> None:
        """Note that a case has moved part of this key's count."""
        self.pending_counts.add(key, self._at)

    def _schedule_counts(self, moment_ms: int) -> None:
        heapq.heappush(self.due, (moment_ms, COUNTS_ORDER, 0, NO_KEY))

    # ---------------------------------------------------------------- state

    def dump(self) -> dict[str, Any]:
        """State that is in no part and cannot be replayed from the end of the log, as msgspec-encodable builtins."""
        return {
            "now": self.now,
            "generations": self.intake.recent_ids.starts,
            "past": self.intake.past(),
            "rule_shares": msgspec.to_builtins(self._rule_shares),
        }

    def memory_bytes(self) -> int:
        """Estimated bytes in memory, without the target states: ids, pending counts, open ticks, changed relations."""
        waiting = self.intake.memory_bytes() + self.pending_counts.memory_bytes()
        return waiting + self.target_states.pages.memory_bytes()

    def emits_views_at_start(self) -> bool:
        """Whether this platform emits a view when playback begins rather than when it ends."""
        return self.platforms[0].rates.emitted_at_start()

    def replay_positions(self, position: int) -> tuple[int, set[int]]:
        """Where a replay must begin to restore what is open at ``position``, and where each open part begins."""
        return self.intake.replay_start(position), self.intake.starts()

    def begins_at(self, position: int) -> bool:
        """Whether an open tick or a generation of ids began with the latest record, at ``position``."""
        return self.intake.begins_at(position)

    def load(self, state: dict[str, Any]) -> None:
        """Load dumped state. The parts must be loaded before, and the log replayed after it."""
        self.now = state["now"]
        horizon = self.scales[0].start(self.now) if self.now >= 0 else 0
        self.intake.load(state["generations"], horizon, state.get("past", ()))
        for metric, shares in enumerate(state.get("rule_shares", ())):
            self._rule_shares[metric] = msgspec.convert(shares, RuleShares)
        orders = {scale.name: order for order, scale in enumerate(self.scales)}
        for key, agenda in self.target_states.agenda():
            for name, start in agenda.starts.items():
                self._windows.wait(orders[name], start, key)
            for close_at in agenda.close_at:
                self.schedule_case(close_at, key)
            if agenda.count_pending:
                self.pending_counts.restore(key, self.now)

    def schedule_case(self, close_at_ms: int, key: Key) -> None:
        """Check at ``close_at_ms`` whether this key's case, explained surge or rule burst can close."""
        heapq.heappush(self.due, (close_at_ms, CASE_ORDER, 0, key))
