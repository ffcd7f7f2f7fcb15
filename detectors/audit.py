"""The audit of one partition: events in, windows, verdicts, corrections and counts out.

A deterministic function of what is put in: ``observe`` takes events, ``advance`` moves event time and closes
windows, shortest first, targets in order of their ids. Live worker, offline replay and tests use it alike.

Millions of windows may close at one moment. ``steps`` is ``advance`` in small steps, so that a worker can do something
else in between; what it says does not depend on when, or whether, it is stopped there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

from detectors import features as f
from detectors.cases import Cases
from detectors.closing import FROM_VIEWS, Closing
from detectors.company import Company
from detectors.early import Desk, EarlyLooks
from detectors.events import METRICS, EventBlock
from detectors.evidence import EVENTS_MIN
from detectors.explained import Explanations, Promotion
from detectors.flags import Flags
from detectors.incidents import Incidents
from detectors.intake import Intake
from detectors.interaction import with_accounts
from detectors.looking import VIEW, Look
from detectors.models import Choice
from detectors.peers import Peers
from detectors.platform import Platform
from detectors.records import Hit, Outcome
from detectors.reference import count_newcomers
from detectors.registry import IN_SHADOW
from detectors.rules.settings import RuleSettings
from detectors.rulings import Rulings
from detectors.thresholds import Rulebook
from detectors.unsaid import Unsaid
from detectors.watched import Watched, Watches, key_of
from detectors.windows import ROW_BYTES, Crowd, ladder, parts_of

CASE_ORDER = 8
COUNTS_ORDER = 9
"""Order of what is due at the same moment: windows by scale (0 … 3), then cases that end, then counts."""

STEP_KEYS = 32
"""What is done before a pause: some milliseconds, the pause a tenth of a microsecond (measured)."""


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """What an audit is told. ``config`` is the version every flag carries."""

    tick_seconds: int = 10
    counts_seconds: int = 30
    dedupe_ids: int = 100_000
    partition: int = 0
    config: str = "sha256:unset"
    shadow: frozenset[str] = IN_SHADOW
    """detectors that learn but have no vote"""
    rules: RuleSettings = field(default_factory=RuleSettings)
    models: tuple[Choice, ...] = ()
    """River models of an operator's choice, detectors of their own"""
    rulebook: Rulebook = field(default_factory=Rulebook)
    explained: bool = True
    """whether strong surges that are accounted for are told"""
    promotions: tuple[Promotion, ...] = ()


class Audit:
    """Windows, cases and counts of the targets of one partition."""

    def __init__(self, settings: AuditSettings, watches: Watches | None = None) -> None:
        self.settings = settings
        self.scales = ladder(settings.tick_seconds)
        self.watches = Watches() if watches is None else watches
        self.platforms = [Platform(settings.models) for _ in METRICS]
        self.intake = Intake(self, self.scales[0], settings.dedupe_ids, settings.rules)
        self.unsaid = Unsaid(self.watches, settings.counts_seconds, self._schedule_counts)
        self.due: list[tuple[int, int, int, str]] = []
        self.now = -1
        flags = Flags(partition=settings.partition, config=settings.config)
        self._incidents = Incidents(self, self.scales, flags)
        self._explanations = Explanations(
            self.schedule_case,
            enabled=settings.explained,
            promotions=settings.promotions,
            flags=flags,
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
        desk = Desk(self.watches, self.platforms, self.rulings, self._peers, self.scales, self._parts, self._judge)
        self._early = EarlyLooks(desk)
        self._at = 0

    # ---------------------------------------------------------------- events

    def observe(self, block: EventBlock, position: int, outcome: Outcome) -> None:
        """Take in a block of events that stood at ``position`` of the log. Late ones are counted at once."""
        self.intake.observe(block, position, outcome)

    def replay(self, block: EventBlock, position: int) -> None:
        """Observe a block again after ``load``: events of open windows come back, others are passed over."""
        self.intake.replay(block, position)

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
        if now_ms <= self.now:
            return
        due = self.due
        while due and due[0][0] <= now_ms:
            end, order, start, key = heapq.heappop(due)
            self._at = end
            if order == 0:
                yield from self._close_tick(start, end, outcome)
            elif order < len(self.scales):
                yield from self._close_windows(order, start, outcome)
            elif order == COUNTS_ORDER:
                # What came before event time had begun (history) is of the moment at which it begins.
                yield from self.unsaid.tell(end or now_ms, outcome)
            elif order == CASE_ORDER:
                self._expire(key, end, outcome)
        self.now = now_ms
        self.intake.horizon = self.scales[0].start(now_ms)

    def _expire(self, key: str, now: int, outcome: Outcome) -> None:
        watched = self.watches.change(key)
        self._incidents.expire(key, watched, now, outcome)
        if self._explanations.expire(key, watched.explained, now, outcome):
            watched.explained = None

    def _close_tick(self, start: int, end: int, outcome: Outcome) -> Iterator[None]:
        tick = self.intake.close(start)
        log = tick.log_from, tick.log_to
        came = 0
        for metric, heap in enumerate(tick.heaps):
            entered = closed = 0
            for target, rows, folded in heap.by_target():
                owner = tick.owners.get(target, -1)
                entered += self.enter(
                    key_of(metric, target),
                    start,
                    rows,
                    log,
                    outcome,
                    folded=folded,
                    owner=owner,
                    nobody=heap.nobody.get(target, 0),
                )
                closed += 1
                if closed % STEP_KEYS == 0:
                    yield
            came += entered
            outcome.entered[metric] += entered
            outcome.windows += closed
        yield from self._early.take(end, came, outcome)
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
        log_from, log_to = log
        into = watched.open.get("minutes")
        if into is None:
            into = self._open_window(1, start, key, watched)
            into.log_from = log_from
        elif log_from < into.log_from or into.log_from < 0:
            into.log_from = log_from
        into.log_to = max(into.log_to, log_to)
        into.owner = max(into.owner, owner)
        metric = int(key[0])
        platform = self.platforms[metric]
        if folded is None and not self._cases.worth_a_look(watched, count, platform):
            into.take(rows, nobody)
        else:
            crowd = folded if folded is not None else Crowd()
            crowd.take(rows, nobody)
            crowd.settle()
            crowd.log_from, crowd.log_to = log
            reference = self._peers.reference(metric)
            look = Look(key, watched, scale, start, crowd, platform, reference, outcome, rulings=self.rulings)
            self._cases.look(look)
            into.merge(crowd)
        self._early.entered(key, watched)
        return count

    def _open_window(self, order: int, ts_ms: int, key: str, watched: Watched) -> Crowd:
        scale = self.scales[order]
        crowd = watched.open.get(scale.name)
        if crowd is None:
            start = scale.start(ts_ms)
            crowd = watched.open[scale.name] = Crowd(start=start)
            self._wait(order, start, key)
        return crowd

    def _merge(self, order: int, start: int, key: str, watched: Watched, crowd: Crowd) -> Crowd:
        """Let a longer window take in a shorter one that has closed; its first becomes the window itself."""
        into = watched.open.get(self.scales[order].name)
        if into is not None:
            into.merge(crowd)
            return into
        crowd.start, crowd.looked, crowd.told = self.scales[order].start(start), 0, False
        watched.open[self.scales[order].name] = crowd
        self._wait(order, crowd.start, key)
        return crowd

    def _close_windows(self, order: int, start: int, outcome: Outcome) -> Iterator[None]:
        scale, views = self.scales[order], self.platforms[0]
        closing = Closing(scale, start)
        actors: Set[int] = frozenset()
        unmet: list[int] = []
        for number, key in enumerate(self.watches.waited(order, start)):
            if number % STEP_KEYS == 0:
                yield
            watched = self.watches.change(key)
            metric = int(key[0])
            platform, reference = self.platforms[metric], self._peers.reference(metric)
            crowd = watched.open.pop(scale.name)
            if order == 1:
                actors = crowd.actor_hashes()
                self.intake.follow(key, crowd, len(actors), start + scale.span_ms)
                known = [platform.known] if platform is reference else [platform.known, reference.known]
                unmet = count_newcomers(crowd, actors, known)
                closing.met[metric].extend(actors)
            outcome.windows += 1
            closing.note(metric, crowd)
            look = Look(key, watched, scale, start, crowd, platform, reference, outcome)
            look.rates, look.rulings = views.rates, self.rulings
            look.parts, look.teaches = self._parts[order], platform.teaching(scale, key, start)
            if metric and scale.name == "hour" and look.teaches.mix:
                closing.note_beside(metric, crowd, viewed=self._peers.viewed(key))
            self._ask_who_viewed(look, closing)
            if crowd.n >= EVENTS_MIN:
                look.peers = self._peers.counts(key, order, start, closing.views)
                look.views_days = self._peers.days(key)
                look.silence = self._peers.silence(key, scale, start)
                if metric == 0 and order > 1 and look.teaches.crowd:
                    people = with_accounts(crowd, views.tells_accounts())
                    closing.interactions.append((people, *look.peers[1:]))
            self._judge(look, actors, unmet)
            if metric == 0 and crowd.n >= EVENTS_MIN:
                closing.viewed.update(self._peers.parting_viewers(key, order, crowd))
                closing.views[key] = crowd.n - crowd.quarantined
            if order + 1 < len(self.scales):
                crowd.squares = crowd.n * crowd.n
                into = self._merge(order + 1, start, key, watched, crowd)
                self._early.merged(order + 1, key, watched, into)
        yield from self._early.take(self._at, closing.events, outcome)
        self.company.lockstep.learn()
        yield from closing.teach(self.platforms)

    def _ask_who_viewed(self, look: Look, closing: Closing) -> None:
        """Ask who in a closed window of likes or follows had viewed the target, for its look and for what is usual."""
        key, crowd = look.key, look.crowd
        if key[0] == VIEW:
            return
        unheld = look.watched.case is None and not crowd.quarantined
        teaches = unheld and look.scale.name in FROM_VIEWS and look.teaches.mix and self._peers.viewed(key)
        if not teaches and crowd.n < EVENTS_MIN:
            return
        metric, viewers, asked = int(key[0]), self._peers.viewers(key, crowd), self._peers.asked(key, crowd)
        if teaches:
            closing.note_viewers(metric, crowd, viewers, asked=asked)
        if crowd.n >= EVENTS_MIN:
            look.viewers = self._peers.may_have_viewed(key, crowd, viewers) + closing.viewed.get(key, 0.0)
            look.every_view = asked >= f.PEOPLE_MIN and closing.tells_every_view(self.platforms[0], metric)

    def _judge(self, look: Look, actors: Set[int], unmet: Iterable[int] = ()) -> None:
        """Put a window before the judge. If its actors are given, say who of them act together, and learn who came."""
        if len(actors) < 2:
            self._cases.look(look)
            return
        self.company.ask(look, actors)
        if not look.early:
            self.company.note(look, actors, unmet)
        self._cases.look(look)

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
        """What is neither keyed nor a function of the log's last stretch, as msgspec-encodable builtins."""
        return {"now": self.now, "generations": self.intake.recent_ids.starts, "past": self.intake.past()}

    def held_bytes(self) -> int:
        """About what is in memory besides the watches: ids, counts to tell, open ticks."""
        return self.intake.held_bytes() + self.unsaid.held_bytes()

    def load(self, state: dict[str, Any]) -> None:
        """Take dumped state, the watches and platforms being loaded already; then ``replay`` the log."""
        self.now = state["now"]
        horizon = self.scales[0].start(self.now) if self.now >= 0 else 0
        self.intake.load(state["generations"], horizon, state.get("past", ()))
        orders = {scale.name: order for order, scale in enumerate(self.scales)}
        for key, agenda in self.watches.agenda():
            for name, start in agenda.starts.items():
                self._wait(orders[name], start, key)
            if agenda.close_at is not None:
                self.schedule_case(agenda.close_at, key)
            if agenda.unsaid:
                self.unsaid.restore(key, self.now)

    def _wait(self, order: int, start: int, key: str) -> None:
        if self.watches.wait(order, start, key):
            heapq.heappush(self.due, (start + self.scales[order].span_ms, order, start, ""))

    def schedule_case(self, close_at_ms: int, key: str) -> None:
        """Look at this key's case again at ``close_at_ms``."""
        heapq.heappush(self.due, (close_at_ms, CASE_ORDER, 0, key))
