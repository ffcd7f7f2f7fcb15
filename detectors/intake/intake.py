"""Takes events as they arrive: finds duplicate ids, puts each event into its open tick, counts late ones at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.events.block import EventBlock
from detectors.events.key import NO_KEY, VIEW, key_of
from detectors.failures import UNCONTAINED
from detectors.intake import history
from detectors.intake.past_ticks import PastTicks
from detectors.intake.prepared import Few, Many, Prepared, is_exempt, listed, parted, parts_by_tick, prepare
from detectors.intake.recent_ids import RecentIds
from detectors.intake.related import related
from detectors.intake.rules.act_rules import ActRules
from detectors.intake.rules.daily_rate import Days
from detectors.intake.rules.reasons import ALREADY_COUNTED, AUTOMATED_ACTOR, AUTOMATED_REPLAY, EXEMPT, TAGS
from detectors.intake.rules.repeats import HORIZON_MS
from detectors.intake.rules.settings import RuleSettings
from detectors.intake.ticks import Tick, acts_of
from detectors.records import Hit, Outcome
from detectors.state.ledger import DUPLICATE_ID
from detectors.windows.scales import Scale

ID_BYTES = 90
"""Bytes of an id's hash in a set that is two thirds empty after it has grown (measured, CPython 3.11)."""


class TickSchedule(history.HistoricCounts, Protocol):
    """Schedules the closing of ticks, and counts events that are in none. The audit implements it."""

    def expect_tick(self, start: int) -> None:
        """Schedule the closing of a new tick."""
        ...


class Intake:
    """The open ticks and the recent ids of one partition."""

    def __init__(self, audit: TickSchedule, tick: Scale, dedupe_ids: int, rules: RuleSettings) -> None:
        self.recent_ids = RecentIds(dedupe_ids)
        self.ticks: dict[int, Tick] = {}
        self.horizon = 0
        """epoch ms; events before it are late"""
        self._audit = audit
        self._scale = tick
        self._replaying = False
        self._rolls: frozenset[int] = frozenset()
        self.rules = ActRules(rules)
        states = ALREADY_COUNTED not in rules.off
        rulings = not {AUTOMATED_ACTOR, AUTOMATED_REPLAY} <= rules.off
        self._timed = [
            judged or rulings or (states and metric != VIEW) for metric, judged in enumerate(self.rules.judged)
        ]
        self._past = PastTicks()
        self._unsettled = False

    # ---------------------------------------------------------------- events

    def observe(self, block: EventBlock, position: int, outcome: Outcome) -> None:
        """Take a block of events, read from ``position`` of the log. Late events are counted at once."""
        self._settle()
        prepared = prepare(block, self._scale.span_ms)
        if block.ident is not None:
            self.recent_ids.turn(position, self._oldest_open(position))
        self._collect(block, prepared, position, outcome)

    def replay(self, block: EventBlock, position: int) -> None:
        """Observe a block again after ``load``: restores open ticks, and the past acts that rules compare with.

        Other events are ignored.
        """
        self._replay(block, prepare(block, self._scale.span_ms), position, self._collect)

    def count(self, block: EventBlock, position: int, outcome: Outcome, *, replayed: bool = False) -> None:
        """Replace ``observe`` (or ``replay``) where that fails: count the block's events without judging them.

        Open ticks contain them as numbers, so that undos find them. No rule compares them with others.
        """
        prepared = parted(block)
        if replayed:
            self._replay(block, prepared, position, self._count)
            return
        self._settle()
        if block.ident is not None:
            self.recent_ids.turn(position, self._oldest_open(position))
        self._count(block, prepared, position, outcome)

    def _replay(
        self,
        block: EventBlock,
        prepared: Prepared,
        position: int,
        collect: Callable[[EventBlock, Prepared, int, Outcome], None],
    ) -> None:
        if block.ident is not None and position in self._rolls:
            self.recent_ids.roll()
        self._replaying = self._unsettled = True
        collect(block, prepared, position, Outcome())
        self._replaying = False

    def _collect(self, block: EventBlock, prepared: Prepared, position: int, outcome: Outcome) -> None:
        hits, packed = self._live_hits(block, prepared, outcome), prepared.packed
        if prepared.live is None:
            return
        if packed is None or isinstance(packed, list):
            self._collect_few(prepared.live, packed, position, hits, outcome)
        else:
            self._collect_many(prepared.live, packed, position, hits, outcome)

    def _live_hits(self, block: EventBlock, prepared: Prepared, outcome: Outcome) -> dict[int, str]:
        """Count a block's historic events. Returns the invalid live ones: place → reason."""
        hits, places = self._hits(block, outcome), prepared.places
        if prepared.historic and not self._replaying:
            history.enter(block, prepared.historic, hits, self._audit, outcome)
        if places is None:
            return hits
        return {number: hits[place] for number, place in enumerate(places) if place in hits}

    def _count(self, block: EventBlock, prepared: Prepared, position: int, outcome: Outcome) -> None:
        hits = self._live_hits(block, prepared, outcome)
        if prepared.live is not None:
            self._collect_few(prepared.live, None, position, hits, outcome)

    def _collect_many(
        self,
        block: EventBlock,
        packed: Many,
        position: int,
        hits: dict[int, str],
        outcome: Outcome,
    ) -> None:
        starts = packed[0]
        left = np.ones(len(starts), bool)
        for index in np.nonzero(starts < self.horizon)[0].tolist():
            if self._is_late(int(starts[index]), position):
                self._late(block, index, hits.get(index, ""), outcome)
                left[index] = False
        undos = () if block.undo is None else (i for i, undo in enumerate(block.undo) if undo and i not in hits)
        for index in itertools.chain(hits, undos):
            if left[index]:
                tick = self._tick(int(starts[index]), position)
                self._note(tick, block, index, hits.get(index, ""), outcome)
                left[index] = False
        if np.asarray(block.actor).min() < 0:
            self._count_nobody(block, left, starts, position)
        for part in parts_by_tick(block, packed, left):
            self._tick(part.start, position).add(part)

    def _count_nobody(
        self, block: EventBlock, left: NDArray[np.bool_], starts: NDArray[np.int64], position: int
    ) -> None:
        """Put the remaining events without an actor into their ticks, and clear them in ``left``."""
        places = np.nonzero(left & (np.asarray(block.actor) < 0))[0]
        left[places] = False
        owners = None if block.owner is None else np.asarray(block.owner).tolist()
        for index, start in zip(places.tolist(), starts[places].tolist(), strict=True):
            tick, target = self._tick(start, position), block.target[index]
            tick.add_nobody(block.metric[index], target)
            if owners is not None:
                tick.set_owners([target], [owners[index]])

    def _collect_few(
        self, block: EventBlock, packed: Few | None, position: int, hits: dict[int, str], outcome: Outcome
    ) -> None:
        """As ``_collect_many``, event by event: arrays cost some 40 µs a block. Without ``packed`` it only counts."""
        span = self._scale.span_ms
        count = len(block.target)
        times, actors = listed(block.ts, count), listed(block.actor, count)
        for index, (target, metric, ts) in enumerate(zip(block.target, block.metric, times, strict=True)):
            start = ts - ts % span
            if start < self.horizon and self._is_late(start, position):
                self._late(block, index, hits.get(index, ""), outcome)
                continue
            tick = self._tick(start, position)
            if index in hits or (block.undo is not None and block.undo[index]):
                self._note(tick, block, index, hits.get(index, ""), outcome)
                continue
            if packed is None:
                tick.note(tick.counted, key_of(metric, target), "")
                continue
            if actors[index] < 0:
                tick.add_nobody(metric, target)
            else:
                tick.add_one(metric, target, *packed[index])
            if block.owner is not None:
                tick.set_owners([target], [int(block.owner[index])])

    def _hits(self, block: EventBlock, outcome: Outcome) -> dict[int, str]:
        """Invalid events of the block, place → reason: by recent ids and by the tags of ingest.

        A rule that fails catches none of the block's events.
        """
        hits: dict[int, str] = {}
        for rule in (self._known_ids, _tagged):
            try:
                for index, reason in rule(block).items():
                    hits.setdefault(index, reason)
            except UNCONTAINED:
                raise
            except Exception as error:  # noqa: BLE001  # its events are counted without the rule
                outcome.fail("rules", NO_KEY, -1, 0, error)
        return hits

    def _known_ids(self, block: EventBlock) -> dict[int, str]:
        acts = acts_of(block)
        known = set() if acts is None else self.recent_ids.add_all(acts)
        return dict.fromkeys(sorted(known), DUPLICATE_ID)

    def _note(self, tick: Tick, block: EventBlock, index: int, reason: str, outcome: Outcome) -> None:
        """Put a duplicate, an undo or a rule's hit into its tick. A duplicate undo has no effect."""
        key = key_of(block.metric[index], block.target[index])
        outcome.duplicates += reason == DUPLICATE_ID
        undo = _is_undo(block, index)
        if undo and reason == DUPLICATE_ID:
            return
        who = related(block, index) if undo and not reason else ()
        if who:
            tick.withdrawn.setdefault(key, []).extend(who)
        else:
            tick.note(tick.undos if undo else tick.rejected, key, reason)
        if undo and not reason and block.actor[index] >= 0 and not is_exempt(block, index):
            at = int(block.ts[index]) % self._scale.span_ms
            tick.note_undo(block.metric[index], block.target[index], int(block.actor[index]), at)

    def _tick(self, start: int, position: int) -> Tick:
        tick = self.ticks.get(start)
        if tick is None:
            tick = self.ticks[start] = Tick(position, self._timed)
            if start >= self.horizon:
                self._audit.expect_tick(start)
        tick.log_to = position
        return tick

    def _late(self, block: EventBlock, index: int, reason: str, outcome: Outcome) -> None:
        if self._replaying:
            return
        key, ts = key_of(block.metric[index], block.target[index]), int(block.ts[index])
        outcome.late += 1
        outcome.duplicates += reason == DUPLICATE_ID
        undo = _is_undo(block, index)
        if undo and reason == DUPLICATE_ID:
            return
        who = () if reason else related(block, index)
        self._audit.enter_at_once(Hit(key, reason, ts, ts + 1, 1), undo=undo, outcome=outcome, related=who)

    # ---------------------------------------------------------------- ticks that close

    def close(self, start: int) -> Tick:
        """Close the tick that begins at ``start``, and remove what rules catch of its events."""
        self._settle()
        return self._close(start)

    def take_out(self, start: int) -> Tick:
        """Replace ``close`` where that fails: no rule is applied."""
        self._settle()
        return self.ticks.pop(start)  # no rule compares later acts with it, and a restore does not replay it

    def _close(self, start: int, *, replayed: bool = False) -> Tick:
        tick = self.ticks.pop(start)
        self.rules.sift(tick, start, start + self._scale.span_ms, replayed=replayed)
        if any(self.rules.judged):
            self._past.note(start, tick)
        return tick

    def _is_late(self, start: int, position: int) -> bool:
        """Whether an event of a closed tick is late. In a replay, the tick may have been open when the event came."""
        return not (self._replaying and self._past.was_open(start, position))

    def _settle(self) -> None:
        """After a replay, close the ticks that were closed before, so that rules have the same past acts."""
        if self._unsettled:
            self._unsettled = False
            for start in sorted(start for start in self.ticks if start < self.horizon):
                self._close(start, replayed=True)

    def past(self) -> list[tuple[int, int]]:
        """The closed ticks that rules still compare with: start, and position of the last event in the log."""
        self._prune()
        return self._past.dump()

    def _prune(self) -> None:
        """Drop the closed ticks that no rule compares with any more."""
        self._settle()
        self._past.forget(self.horizon - HORIZON_MS - self._scale.span_ms)

    # ---------------------------------------------------------------- state

    def load(self, generations: list[int], horizon: int, past: Sequence[tuple[int, int]]) -> None:
        """Load dumped state (``recent_ids.starts``, ``past``). ``replay`` restores the rest."""
        self.horizon = horizon
        self._past.load(past)
        self.recent_ids.starts = list(generations)
        self._rolls = frozenset(generations)

    def days(self) -> Iterator[tuple[int, Days]]:
        """See ActRules."""
        return self.rules.days()

    def memory_bytes(self) -> int:
        """Estimated bytes in memory: ids, open ticks, past acts."""
        ticks = sum(tick.memory_bytes() for tick in self.ticks.values())
        return len(self.recent_ids) * ID_BYTES + ticks + self.rules.memory_bytes()

    def replay_start(self, position: int) -> int:
        """Position of the log from which a replay restores what is open at ``position``."""
        oldest = self._oldest_open(position)
        ids = self.recent_ids.replay_start(oldest)
        return oldest if ids is None else min(oldest, ids)

    def starts(self) -> set[int]:
        """Positions of the log at which an open or past tick, or a generation of ids begins."""
        self._prune()
        ticks = {tick.log_from for tick in self.ticks.values()}
        return ticks.union(self._past.first_positions(), self.recent_ids.starts)

    def begins_at(self, position: int) -> bool:
        """Whether the latest record, at ``position``, is one of ``starts``. Its ticks are still open."""
        return position in self.recent_ids.starts or any(tick.log_from == position for tick in self.ticks.values())

    def _oldest_open(self, position: int) -> int:
        """First position of the log with events of open ticks, or of past ticks that rules compare with."""
        self._prune()
        ticks = (tick.log_from for tick in self.ticks.values())
        return min(itertools.chain(ticks, self._past.first_positions()), default=position)


def _tagged(block: EventBlock) -> dict[int, str]:
    if block.rule is None:
        return {}
    places = np.nonzero(np.asarray(block.rule) > EXEMPT)[0].tolist()
    return {index: TAGS[int(block.rule[index])] for index in places}


def _is_undo(block: EventBlock, index: int) -> bool:
    return block.undo is not None and bool(block.undo[index])
