"""Settles the likes and follows of one partition, and their undos, against the relations that there are.

A like by an actor with a current like is invalid (``already_counted``). An undo ends the relation and takes its event
back. An undo without a relation moves nothing, unless the act may be from before relations were stored. An undo that is
read before its act, but was made after it, takes the act back when that is read, for EARLY_MS of event time.

The events of a tick are settled when it closes, in the order of their times, so that arrival order does not matter.
Events that are counted at once (late and historic ones) are settled in the order of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from functools import partial
from operator import itemgetter

from detectors.events.key import NO_KEY, Key
from detectors.failures import UNCONTAINED
from detectors.intake.related import RelatedAct
from detectors.intake.rules.reasons import ALREADY_COUNTED
from detectors.intake.ticks import Tick
from detectors.records import Hit, Outcome
from detectors.relations.debits import live_events, undo_outside, undo_relation, undo_unknown
from detectors.relations.relation_set import RelationSet, open_all, sample
from detectors.state.relation_pages import SPAN_MS
from detectors.state.relations import Relations
from detectors.state.target_state import TargetState
from detectors.state.target_states import TargetStates

KEYS_TOGETHER = 64
"""Keys that are settled between two pauses: some milliseconds of work."""

EARLY_MS = 600_000
"""How long an undo waits for an act that is read after it: longer than producers keep and send again what they could
not deliver, and short enough that few undos wait."""
EARLY_MAX = 64
"""Undos of one target that wait for their acts; the earliest gives way. Honest producers have a handful."""

Undo = tuple[int, int]
"""Actor (without account bit) and time of an undo."""

CURRENT, UNKNOWN, EARLY, UNMATCHED = UNDO_RESULTS = ("current", "unknown", "early", "unmatched")
"""What an undo found: a relation; perhaps an act from before relations were stored; an act that was read after it
(counted besides ``unmatched``, as which the undo was counted first); nothing."""


class _Settled:
    """The settling of one key's acts and undos of a tick, and its result."""

    __slots__ = ("_relation_set", "_span", "_start", "already", "ended", "lost")

    def __init__(self, relation_set: RelationSet, start: int) -> None:
        self._relation_set = relation_set
        self._start = start
        self._span = start // SPAN_MS
        self.already: list[int] = []
        """places of acts that are already counted"""
        self.ended: list[int] = []
        """spans of ended relations"""
        self.lost: list[Undo] = []
        """undos without a relation"""

    def act(self, act: RelatedAct) -> None:
        """Settle an act."""
        if self._relation_set.created(act.actor) is not None:
            self.already.append(act.place)
        elif not act.caught:
            self._relation_set.add(act.actor, self._span)

    def undo(self, actor: int, at: int) -> None:
        """Settle an undo, ``at`` ms after the tick began."""
        created = self._relation_set.created(actor)
        if created is None:
            self.lost.append((actor, self._start + at))
        else:
            self._relation_set.remove(actor)
            self.ended.append(created)

    def all_of(self, actor: int, acts: list[RelatedAct], undos: list[int]) -> None:
        """Settle an actor's acts and undos, each in the order of their times.

        Times may be rounded, so the order within a moment is not known: what changes the state comes first.
        """
        waiting = iter(undos)
        undo = next(waiting, None)
        for act in acts:
            while undo is not None and (
                undo < act.at or (undo == act.at and self._relation_set.created(actor) is not None)
            ):
                self.undo(actor, undo)
                undo = next(waiting, None)
            self.act(act)
        while undo is not None:
            self.undo(actor, undo)
            undo = next(waiting, None)


class RelationEntry:
    """See the module."""

    def __init__(self, target_states: TargetStates, *, on: bool) -> None:
        """``on`` is whether relations are used. Otherwise every undo is one outside relations."""
        self._target_states = target_states
        self._on = on

    # ---------------------------------------------------------------- ticks

    def settle(self, tick: Tick, start: int, outcome: Outcome) -> Generator[None, None, None]:
        """Settle a closing tick, before its events are entered, with a pause after every few keys.

        Acts that are already counted leave the tick. What undos take back is noted (``tick.ended``, ``tick.lost``).
        """
        if not self._on:
            return
        for by_key in _chunks(tick, start, outcome):
            for begin in range(0, len(by_key), KEYS_TOGETHER):
                self._settle_keys(tick, by_key[begin : begin + KEYS_TOGETHER], start, outcome)
                yield
        if not tick.withdrawn:
            return
        left = [(key, list[RelatedAct]()) for key in sorted(tick.withdrawn)]
        for begin in range(0, len(left), KEYS_TOGETHER):
            self._settle_keys(tick, left[begin : begin + KEYS_TOGETHER], start, outcome)
            yield

    def _settle_keys(
        self, tick: Tick, acts_by_key: list[tuple[Key, list[RelatedAct]]], start: int, outcome: Outcome
    ) -> None:
        """Settle some keys. If that fails, their acts are counted without relations."""
        states = self._target_states.change_many([key for key, _ in acts_by_key])
        try:
            settled = self._settled(tick, acts_by_key, states, start)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # nothing has changed: the events are counted without relations
            for (_, acts), state in zip(acts_by_key, states, strict=True):
                state.unknown_acts += sum(not act.caught for act in acts)
            outcome.fail("rules", NO_KEY, start, 0, error)
            return
        for (key, acts), result in zip(acts_by_key, settled, strict=True):
            if result.already:
                tick.reject_places(key, result.already, ALREADY_COUNTED)
            if result.ended:
                tick.ended.setdefault(key, []).extend(result.ended)
            if result.lost:
                tick.lost.setdefault(key, []).extend(result.lost)
            if tick.withdrawn and key in tick.withdrawn:
                settled_actors = {act.actor for act in acts}
                tick.withdrawn[key] = [undo for undo in tick.withdrawn[key] if acts and undo[0] not in settled_actors]
                if not tick.withdrawn[key]:
                    del tick.withdrawn[key]

    def _settled(
        self, tick: Tick, acts_by_key: list[tuple[Key, list[RelatedAct]]], states: list[TargetState], start: int
    ) -> list[_Settled]:
        withdrawn = tick.withdrawn
        undos = [_undos_of(withdrawn.get(key, ()), acts) if withdrawn else () for key, acts in acts_by_key]
        wanted = [
            (key, state.relations or Relations(), [act.actor for act in acts] + [actor for actor, _ in takes])
            for (key, acts), state, takes in zip(acts_by_key, states, undos, strict=True)
        ]
        opened = open_all(wanted, self._target_states.pages)
        settled = [
            _settle(relation_set, acts, takes, start, partial(tick.row, key))
            for relation_set, (key, acts), takes in zip(opened, acts_by_key, undos, strict=True)
        ]
        for state, (_, relations, _), relation_set in zip(states, wanted, opened, strict=True):
            state.relations = relations
            relation_set.write(self._target_states.pages)
        return settled

    def enter_undos(self, tick: Tick, end: int, outcome: Outcome) -> list[Key]:
        """Take back what the undos of a closed tick undo, after its events were entered. Returns the keys, in order."""
        for key, undos in tick.withdrawn.items():  # of a tick that was not settled
            tick.undos[key, ""] = tick.undos.get((key, ""), 0) + len(undos)
        tick.withdrawn.clear()
        for (key, reason), count in sorted(tick.undos.items()):
            outcome.unmatched_undos += undo_outside(self._target_states.change(key), count, reason)
        for key, spans in sorted(tick.ended.items()):
            state = self._target_states.change(key)
            for span in sorted(spans):
                undo_relation(state, span)
            outcome.note_undos(CURRENT, len(spans))
        for key, lost in sorted(tick.lost.items()):
            state = self._target_states.change(key)
            for undo in sorted(lost, key=itemgetter(1, 0)):
                _undo_lost(state, undo, end, outcome)
        return sorted({key for key, _ in tick.undos} | tick.ended.keys() | tick.lost.keys())

    # ---------------------------------------------------------------- at once

    def enter_acts(
        self, events: Hit, state: TargetState, acts: Sequence[tuple[int, int]], now: int, outcome: Outcome
    ) -> int:
        """Enter valid events that are counted at once; ``acts`` are the related ones (actor and time), in log order.

        Returns how many of them are already counted and were not entered.
        """
        already, ended = 0, list[int]()
        if self._on and acts:
            try:
                already, ended = self._acts_settled(events.key, state, acts, now)
            except UNCONTAINED:
                raise
            except Exception as error:  # noqa: BLE001  # nothing has changed: the events are counted without relations
                state.unknown_acts += len(acts)
                outcome.fail("rules", events.key, events.start, 0, error)
        state.ledger.accept(events.events - already)
        for span in ended:
            undo_relation(state, span)
        outcome.note_undos(EARLY, len(ended))
        return already

    def _acts_settled(
        self, key: Key, state: TargetState, acts: Sequence[tuple[int, int]], now: int
    ) -> tuple[int, list[int]]:
        """The number of acts that are already counted, and the spans of those that were undone before they came."""
        relations = state.relations or Relations()
        (relation_set,) = open_all([(key, relations, [actor for actor, _ in acts])], self._target_states.pages)
        waiting = [undo for undo in relations.early if undo[2] >= now]
        already, ended = 0, list[int]()
        for actor, ts in acts:
            undo = next((undo for undo in waiting if undo[0] == actor and undo[1] >= ts), None)
            if undo is not None:
                waiting.remove(undo)
                ended.append(ts // SPAN_MS)
            elif relation_set.created(actor) is not None:
                already += 1
            else:
                relation_set.add(actor, ts // SPAN_MS)
        relation_set.write(self._target_states.pages)
        relations.early = waiting
        state.relations = relations
        return already, ended

    def undo_at_once(
        self, events: Hit, state: TargetState, acts: Sequence[tuple[int, int]], now: int, outcome: Outcome
    ) -> None:
        """Take back what undos that are counted at once undo; ``acts`` are the related ones (actor and time)."""
        acts = acts if self._on else ()
        outside = events.events - len(acts)
        if outside:
            outcome.unmatched_undos += undo_outside(state, outside, events.reason)
        for actor, ts in acts:
            span = self._end(events.key, state, actor)
            if span is None:
                _undo_lost(state, (actor, ts), now, outcome)
            else:
                undo_relation(state, span)
                outcome.note_undos(CURRENT, 1)

    def _end(self, key: Key, state: TargetState, actor: int) -> int | None:
        """End an actor's relation. Returns the span in which it was created, None if there is none."""
        if state.relations is None:
            return None
        (relation_set,) = open_all([(key, state.relations, [actor])], self._target_states.pages)
        span = relation_set.created(actor)
        if span is not None:
            relation_set.remove(actor)
            relation_set.write(self._target_states.pages)
        return span

    # ---------------------------------------------------------------- accessors

    def sample(self, key: Key, size: int) -> list[int]:
        """See ``relation_set.sample``."""
        state = self._target_states.peek(key)
        return [] if state is None else sample(key, state.relations, self._target_states.pages, size)

    def lose(self, key: Key) -> None:
        """Note that some of a key's stored relations were lost: every undo without a relation may be of one of them."""
        state = self._target_states.change(key)
        state.unknown_acts = live_events(state.ledger)


def _chunks(tick: Tick, start: int, outcome: Outcome) -> Iterator[list[tuple[Key, list[RelatedAct]]]]:
    """See Tick.related. If that fails, the remaining acts are counted without relations."""
    try:
        yield from tick.related()
    except UNCONTAINED:
        raise
    except Exception as error:  # noqa: BLE001  # the events are counted
        outcome.fail("rules", NO_KEY, start, 0, error)


def _undos_of(undos: Collection[Undo], acts: list[RelatedAct]) -> Collection[Undo]:
    """The undos of the actors of some acts; without acts, all."""
    if not (undos and acts):
        return list(undos)
    actors = {act.actor for act in acts}
    return [undo for undo in undos if undo[0] in actors]


def _settle(
    relation_set: RelationSet, acts: list[RelatedAct], undos: Collection[Undo], start: int, row: Callable[[int], bytes]
) -> _Settled:
    """Settle one key's acts and undos of a tick. Acts of the same moment are ordered by their rows."""
    settled = _Settled(relation_set, start)
    if not undos and (len(acts) == 1 or len({act.actor for act in acts}) == len(acts)):
        settled.already = relation_set.add_all(acts, start // SPAN_MS)
        return settled
    by_actor: dict[int, tuple[list[RelatedAct], list[int]]] = {}
    for act in acts:
        by_actor.setdefault(act.actor, ([], []))[0].append(act)
    for actor, ts in undos:
        by_actor.setdefault(actor, ([], []))[1].append(ts - start)
    for actor, (its_acts, its_undos) in by_actor.items():
        if len(its_acts) > 1:
            its_acts.sort(key=lambda act: (act.at, row(act.place)))
        settled.all_of(actor, its_acts, sorted(its_undos))
    return settled


def _undo_lost(state: TargetState, undo: Undo, now: int, outcome: Outcome) -> None:
    """Handle an undo without a relation."""
    if undo_unknown(state):
        outcome.note_undos(UNKNOWN, 1)
        return
    relations = state.relations = state.relations or Relations()
    waiting = [one for one in relations.early if one[2] >= now]
    relations.early = [*waiting, (*undo, max(now, undo[1]) + EARLY_MS)][-EARLY_MAX:]
    outcome.unmatched_undos += 1
    outcome.note_undos(UNMATCHED, 1)
