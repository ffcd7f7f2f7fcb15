"""The audit of one partition: events in, windows, verdicts, corrections and counts out.

A deterministic function of what is put in: ``observe`` takes events, ``advance`` moves event time and closes
windows, shortest first, targets in order of their ids. Live worker, offline replay and tests use it alike.

Millions of windows may close at one moment. ``steps`` is ``advance`` in small steps, so that a worker can do something
else in between; what it says does not depend on when, or whether, it is stopped there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

from detectors.actors.rulings import Rulings
from detectors.audit_parts import stored_parts
from detectors.audit_settings import AuditSettings
from detectors.campaigns.bands import Company
from detectors.cases.explanations import Explanations
from detectors.cases.flags import Flags
from detectors.cases.incidents import Incidents
from detectors.containment import Containment
from detectors.counts import Unsaid
from detectors.events.block import EventBlock
from detectors.events.event import METRICS
from detectors.failures import UNCONTAINED
from detectors.intake.intake import Intake
from detectors.intake.ticks import Tick
from detectors.judge import Cases
from detectors.measurement.early import Desk, EarlyLooks
from detectors.measurement.other_metrics import Peers
from detectors.measurement.window_view import Look
from detectors.open_windows import Due, OpenWindows
from detectors.platform.lessons import Closing
from detectors.platform.platform import Platform
from detectors.records import Hit, Outcome
from detectors.rollback import Kept
from detectors.state.key import key_of
from detectors.state.watched import Watched
from detectors.state.watches import MemoryWatches, Watches
from detectors.window_closing import Judging
from detectors.windows.crowd import ROW_BYTES, Crowd
from detectors.windows.scales import ladder, parts_of

__all__ = ("Audit", "AuditSettings")

CASE_ORDER = 8
COUNTS_ORDER = 9
"""Order of what is due at the same moment: windows by scale (0 … 3), then cases that end, then counts."""

STEP_KEYS = 32
"""What is done before a pause: some milliseconds, the pause a tenth of a microsecond (measured)."""


class Audit:
    """Windows, cases and counts of the targets of one partition."""

    def __init__(self, settings: AuditSettings, watches: Watches | None = None) -> None:
        self.settings = settings
        self.scales = ladder(settings.tick_seconds)
        self.watches: Watches = MemoryWatches() if watches is None else watches
        self.platforms = [Platform(settings.models) for _ in METRICS]
        self.intake = Intake(self, self.scales[0], settings.dedupe_ids, settings.rules)
        self.unsaid = Unsaid(self.watches, settings.counts_seconds, self._schedule_counts)
        self.due: list[Due] = []
        self._windows = OpenWindows(self.watches, self.scales, self.due)
        self.now = -1
        flags = Flags(partition=settings.partition, config=settings.config)
        self._incidents = Incidents(self, self.scales, flags)
        self._explanations = Explanations(
            self.schedule_case, enabled=settings.explained, promotions=settings.promotions, flags=flags
        )
        self._cases = Cases(
            self.scales,
            self._incidents,
            self._explanations,
            shadow=settings.shadow,
            models=settings.models,
            rulebook=settings.rulebook,
        )
        self._parts = parts_of(self.scales)
        self.company = Company()
        self.rulings = Rulings()
        self._peers = Peers(self.watches, self.platforms, self.scales)
        self._judging = Judging(
            *(self._cases, self.company, self.rulings, self._peers, self.platforms),
            *(self.intake, self._parts),
        )
        self._contained = Containment(self, self.watches, self.unsaid, self.scales)
        self._early = EarlyLooks(
            Desk(
                *(self.watches, self.platforms, self.rulings, self._peers, self.scales, self._parts),
                *(self._judging.judge, self._contained.leave_early),
            )
        )
        self._at = 0
        self.parts = stored_parts(self.watches, self.platforms, self.company.lockstep, self.rulings, self.intake)
        """what is stored, but what ``dump`` gives"""

    # ---------------------------------------------------------------- events

    def observe(self, block: EventBlock, position: int, outcome: Outcome) -> None:
        """Take in a block of events that stood at ``position`` of the log. Late ones are counted at once."""
        self.intake.observe(block, position, outcome)

    def replay(self, block: EventBlock, position: int) -> None:
        """Observe a block again after ``load``: events of open windows come back, others are passed over."""
        self.intake.replay(block, position)

    def count(self, block: EventBlock, position: int, outcome: Outcome, *, replayed: bool = False) -> None:
        """Count a block that ``observe`` (``replay``) cannot take, without judging it."""
        self.intake.count(block, position, outcome, replayed=replayed)

    def expect_tick(self, start: int) -> None:
        """See intake.Desk."""
        heapq.heappush(self.due, (start + self.scales[0].span_ms, 0, start, ""))

    def enter_at_once(self, events: Hit, *, undo: bool, outcome: Outcome) -> None:
        """See history.Desk."""
        ledger = self.watches.change(events.key).ledger
        if undo:
            outcome.unmatched_undos += ledger.undo(events.events, events.reason)
        elif events.reason:
            self._reject(events, outcome)
        else:
            ledger.accept(events.events)
            outcome.entered[int(events.key[0])] += events.events
        self.unsaid.add(events.key, self.now + 1)

    def meet_historic(self, metric: int, actors: list[int]) -> None:
        """See history.Desk."""
        self.platforms[metric].meet_historic(actors)

    def _reject(self, hit: Hit, outcome: Outcome) -> None:
        self.watches.change(hit.key).ledger.reject(hit.reason, hit.events)
        outcome.hits.append(hit)

    # ---------------------------------------------------------------- time

    def advance(self, now_ms: int, outcome: Outcome) -> None:
        """Move event time to ``now_ms`` and close what is due by then, in order."""
        for _ in self.steps(now_ms, outcome):
            pass

    def steps(self, now_ms: int, outcome: Outcome) -> Iterator[None]:
        """As ``advance``, pausing after every few keys.

        Until it has ended nothing else may be asked of the audit, and neither it nor its watches are at a position.
        """
        yield from self._steps(now_ms, outcome, judged=True)

    def pass_over(self, now_ms: int, outcome: Outcome) -> Iterator[None]:
        """As ``steps`` where that fails: what closes is counted, and nothing is judged or learned."""
        yield from self._steps(now_ms, outcome, judged=False)

    def _steps(self, now_ms: int, outcome: Outcome, *, judged: bool) -> Iterator[None]:
        if now_ms <= self.now:
            return
        due = self.due
        while due and due[0][0] <= now_ms:
            end, order, start, key = heapq.heappop(due)
            self._at = self._contained.at = end
            if not judged and order != COUNTS_ORDER:
                yield from self._contained.pass_over(order, start, end, key, outcome)
            elif order == 0:
                yield from self._close_tick(start, end, outcome)
            elif order < len(self.scales):
                yield from self._close_windows(order, start, outcome)
            elif order == COUNTS_ORDER:
                # What came before event time had begun (history) is of the moment at which it begins.
                yield from self.unsaid.tell(end or min(now_ms, due[0][0] if due else now_ms), outcome)
            elif order == CASE_ORDER:
                self._expire(key, end, outcome)
        self.now = now_ms
        self.intake.horizon = self.scales[0].start(now_ms)

    def _expire(self, key: str, now: int, outcome: Outcome) -> None:
        watched = self.watches.change(key)
        kept = Kept(watched, outcome)
        try:
            self._incidents.expire(key, watched, now, outcome)
            if self._explanations.expire(key, watched.explained, now, outcome):
                watched.explained = None
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not end more than this
            kept.put_back()
            outcome.fail("case", key, now, 0, error)
            self._contained.postpone(key, now)

    def _close_tick(self, start: int, end: int, outcome: Outcome) -> Iterator[None]:
        tick = self.intake.close(start)
        log = tick.log_from, tick.log_to
        came = 0
        for error in tick.failures:
            outcome.fail("rules", "", start, 0, error)
        for metric, heap in enumerate(tick.heaps):
            entered = closed = 0
            for target, rows, folded in heap.by_target():
                owner, nobody = tick.owners.get(target, -1), heap.nobody.get(target, 0)
                entered += self.enter(
                    key_of(metric, target), start, rows, log, outcome, folded=folded, owner=owner, nobody=nobody
                )
                closed += 1
                if closed % STEP_KEYS == 0:
                    yield
            came += entered
            outcome.entered[metric] += entered
            outcome.windows += closed
        yield from self._early.take(end, came, outcome)
        self.settle_tick(tick, start, end, outcome)

    def settle_tick(self, tick: Tick, start: int, end: int, outcome: Outcome) -> None:
        """Enter what of a closed tick is in no window: events that are only counted, invalid ones, undos."""
        for (key, _), count in sorted(tick.counted.items()):
            self._contained.count(key, count, outcome)
        for (key, reason), count in sorted(tick.rejected.items()):
            self._reject(Hit(key, reason, start, end, count), outcome)
            self.unsaid.add(key, end)
        for (key, reason), count in sorted(tick.undos.items()):
            outcome.unmatched_undos += self.watches.change(key).ledger.undo(count, reason)
            self.unsaid.add(key, end)

    def enter(
        self,
        key: str,
        start: int,
        rows: bytes,
        log: tuple[int, int],
        outcome: Outcome,
        *,
        folded: Crowd | None = None,
        owner: int = -1,
        nobody: int = 0,
    ) -> int:
        """Enter a key's events of the closed tick at ``start``, which stood between two positions of the log.

        Answers how many there were; ``nobody`` of them have no actor. Duplicates and undos are not among them.
        """
        watched = self.watches.change(key)
        count = len(rows) // ROW_BYTES + nobody
        if folded is not None:
            count += folded.n
        watched.ledger.valid += count
        scale = self.scales[0]
        if not watched.unsaid:
            self.unsaid.add(key, start + scale.span_ms)
        into = self._windows.minutes(key, watched, start, log)
        into.owner = max(into.owner, owner)
        left = into.n - into.unjudged + count
        try:
            worth = folded is not None or self._cases.worth_a_look(watched, count, self.platforms[int(key[0])])
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # its five minutes are looked at, at their end
            outcome.fail("tick", key, start, 0, error)
            worth = False
        try:
            if not worth:
                into.take(rows, nobody)
            else:
                crowd = folded if folded is not None else Crowd()
                crowd.take(rows, nobody)
                crowd.settle()
                crowd.log_from, crowd.log_to = log
                self._look_at_tick(key, watched, start, crowd, outcome)
                left -= crowd.unjudged
                into.merge(crowd)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # nobody knows what is in a window that was half entered
            del watched.open["minutes"]
            self._contained.note(("tick", error), key, start, left, outcome)
            return count
        try:
            self._early.entered(key, watched)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # the window is looked at when it ends
            outcome.fail("early", key, start, 0, error)
        return count

    def _look_at_tick(self, key: str, watched: Watched, start: int, crowd: Crowd, outcome: Outcome) -> None:
        metric = int(key[0])
        try:
            platform, reference = self.platforms[metric], self._peers.reference(metric)
            look = Look(key, watched, self.scales[0], start, crowd, platform, reference, outcome, rulings=self.rulings)
            self._judging.look(look)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not end more than this
            self._contained.leave(("tick", error), key, crowd, outcome)

    def _close_windows(self, order: int, start: int, outcome: Outcome) -> Iterator[None]:
        scale = self.scales[order]
        closing = Closing(scale, start)
        for number, key in enumerate(self.watches.waited(order, start)):
            if number % STEP_KEYS == 0:
                yield
            watched = self.watches.change(key)
            crowd = watched.open.pop(scale.name, None)
            if crowd is None:  # it could not be entered into, and was dropped
                continue
            outcome.windows += 1
            platform = self.platforms[int(key[0])]
            look = Look(key, watched, scale, start, crowd, platform, platform, outcome)
            try:
                self._judging.close(look, order, closing)
            except UNCONTAINED:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, it must not end more than this
                platform.changed = True
                self._contained.leave((scale.name, error), key, crowd, outcome)
            if order + 1 < len(self.scales):
                self._lengthen(look, order + 1)
        if any(closing.windows):  # otherwise all of them were dropped, and after a restart nobody knows of them
            yield from self._early.take(self._at, closing.events, outcome)
            yield from self._judging.learn(closing, outcome)

    def _lengthen(self, look: Look, order: int) -> None:
        """Let a closed window go on in the next longer one."""
        key, watched, crowd, name = look.key, look.watched, look.crowd, self.scales[order].name
        into = watched.open.get(name)
        left = crowd.n - crowd.unjudged + (0 if into is None else into.n - into.unjudged)
        try:
            crowd.squares = crowd.n * crowd.n
            into = self._windows.merge(order, look.start, key, watched, crowd)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # nobody knows what is in a window that was half merged
            watched.open.pop(name, None)
            self._contained.note((name, error), key, look.start, left, look.outcome)
            return
        try:
            self._early.merged(order, key, watched, into)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # the window is looked at when it ends
            look.fail("early", error)

    # ---------------------------------------------------------------- counts

    def begin_again(self, key: str) -> None:
        """This key's stored state was lost: go on from nothing, and say so with every count."""
        self.watches.change(key).incomplete = True
        self.unsaid.add(key, self.now + 1)

    def changed(self, key: str) -> None:
        """A case moved part of this key's count."""
        self.unsaid.add(key, self._at)

    def _schedule_counts(self, moment_ms: int) -> None:
        heapq.heappush(self.due, (moment_ms, COUNTS_ORDER, 0, ""))

    # ---------------------------------------------------------------- state

    def dump(self) -> dict[str, Any]:
        """What is in no part and no function of the log's last stretch, as msgspec-encodable builtins."""
        return {"now": self.now, "generations": self.intake.recent_ids.starts, "past": self.intake.past()}

    def held_bytes(self) -> int:
        """About what is in memory besides the watches: ids, counts to tell, open ticks."""
        return self.intake.held_bytes() + self.unsaid.held_bytes()

    def views_at_once(self) -> bool:
        """Whether this platform emits a view when it begins, rather than when it ends."""
        return self.platforms[0].rates.told_at_once()

    def replayed_from(self, position: int) -> tuple[int, set[int]]:
        """From where the log must be read again to have what is open at ``position``, and where each of it began."""
        return self.intake.replay_start(position), self.intake.starts()

    def begins_at(self, position: int) -> bool:
        """Whether something that is open began with the record just taken, at ``position``."""
        return self.intake.begins_at(position)

    def load(self, state: dict[str, Any]) -> None:
        """Take dumped state, the parts being loaded already; then ``replay`` the log."""
        self.now = state["now"]
        horizon = self.scales[0].start(self.now) if self.now >= 0 else 0
        self.intake.load(state["generations"], horizon, state.get("past", ()))
        orders = {scale.name: order for order, scale in enumerate(self.scales)}
        for key, agenda in self.watches.agenda():
            for name, start in agenda.starts.items():
                self._windows.wait(orders[name], start, key)
            if agenda.close_at is not None:
                self.schedule_case(agenda.close_at, key)
            if agenda.unsaid:
                self.unsaid.restore(key, self.now)

    def schedule_case(self, close_at_ms: int, key: str) -> None:
        """Look at this key's case again at ``close_at_ms``."""
        heapq.heappush(self.due, (close_at_ms, CASE_ORDER, 0, key))
