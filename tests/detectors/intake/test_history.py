"""Historic events are counted when they are read, and nothing is judged by them; their actors are known afterwards."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.audit import Audit, AuditSettings
from detectors.events.event import METRICS, Event
from detectors.events.key import VIEW, key_of
from detectors.intake.rules.settings import RuleSettings
from detectors.lab.traffic.blocks import Packer
from detectors.platform.platform import HISTORIC_FILL, Platform
from detectors.records import Outcome
from detectors.state.case import EXPLAINED
from detectors.state.ledger import DUPLICATE_ID, UNDONE
from tests.crowds import DAY_MS, MINUTE_MS, START_MS, bought, by_tick, in_order, ordinary

LIVE_END_MS = START_MS + 75 * MINUTE_MS
YEARS_MS = 900 * DAY_MS
FOLLOW = METRICS.index("follow")


class Partition:
    """An audit, its outcome, and the events that it gets in blocks."""

    def __init__(self, settings: AuditSettings | None = None) -> None:
        self.audit, self.outcome, self._packer = Audit(settings or AuditSettings()), Outcome(), Packer(1)
        self._position = 0

    def take(self, events: list[Event]) -> None:
        """A batch that moves no time."""
        self._position += 1
        for _, block in self._packer.pack(events):
            self.audit.observe(block, self._position, self.outcome)

    def play(self, events: list[Event]) -> None:
        """Live events, tick by tick."""
        for end, rows in by_tick(events):
            self.take(rows)
            self.audit.advance(end, self.outcome)

    def flagged(self) -> set[str]:
        return {flag.target for flag in self.outcome.flags if flag.verdict != EXPLAINED}


def snapshot(size: int, ts: int, target: str = "v3", metric: str = "follow") -> list[Event]:
    return [
        Event(ts, f"s{n}", target, metric=metric, id=f"snapshot {n}", history=True)  # type: ignore[arg-type]  # one of METRICS
        for n in range(size)
    ]


@pytest.mark.parametrize("ts", [LIVE_END_MS - 1, LIVE_END_MS - YEARS_MS])
def test_a_snapshot_of_fifty_thousand_follows_is_counted_and_flags_nothing(ts: int) -> None:
    partition = Partition()
    partition.play(ordinary(1, minutes=75))
    for at in range(0, 50_000, 2000):
        partition.take(snapshot(50_000, ts)[at : at + 2000])
    assert partition.audit.target_states[key_of(2, "v3")].ledger.valid == 50_000, "at once"
    partition.audit.advance(LIVE_END_MS + DAY_MS, partition.outcome)
    assert partition.outcome.flags == []
    assert (partition.outcome.historic, partition.outcome.late) == (50_000, 0)
    assert partition.outcome.entered[FOLLOW] == 50_000
    assert [count.raw for count in partition.outcome.counts if count.metric == "follow"] == [50_000]
    assert not partition.audit.target_states[key_of(2, "v3")].levels, "no level is learned of it"


def test_a_bought_burst_after_a_snapshot_is_judged_as_without_one() -> None:
    taken = []
    for size in (0, 5000):
        partition = Partition()
        partition.play(ordinary(1, minutes=75))
        if size:
            partition.take(snapshot(size, LIVE_END_MS, metric="view"))
        partition.play(in_order(bought(2, "v3", begin=LIVE_END_MS)))
        partition.audit.advance(LIVE_END_MS + DAY_MS, partition.outcome)
        assert partition.flagged() == {"v3"}
        ledger = partition.audit.target_states[key_of(VIEW, "v3")].ledger
        taken.append(ledger.raw - ledger.valid)
        assert ledger.raw > size
    assert taken[0] == taken[1]


def test_those_who_were_in_a_snapshot_are_known_when_they_act() -> None:
    partition = Partition()
    partition.take(snapshot(1000, START_MS - YEARS_MS))
    packer = Packer(1)
    ((_, block),) = packer.pack(snapshot(1000, START_MS))
    known = partition.audit.platforms[FOLLOW].known
    assert known.unmet([int(actor) for actor in block.actor]) == []


@given(st.integers(0, 59_999), st.integers(1, 200_000), st.integers(1, 5000))
@settings(max_examples=10, deadline=None)
def test_a_snapshot_of_any_size_leaves_those_known_who_act_now(acting: int, size: int, batch: int) -> None:
    platform = Platform()
    known = platform.known
    here = [(n * 2_654_435_761 << 22) % (1 << 63) & ~1 for n in range(acting)]
    platform.learn_actors(here)
    for at in range(0, size, batch):
        platform.learn_historic_actors(
            [n * 6_364_136_223_846_793_005 % (1 << 63) & ~1 for n in range(at, min(at + batch, size))]
        )
    assert known.unmet(here) == []
    assert known.filled <= max(HISTORIC_FILL, acting)


def test_rules_that_compare_acts_do_not_apply_to_history() -> None:
    partition = Partition()
    rows = [Event(START_MS, "a", "v1", metric="view", history=True) for _ in range(500)]
    partition.take(rows)
    partition.play([Event(START_MS + 1, "a", "v1", metric="view")])
    partition.audit.advance(START_MS + DAY_MS, partition.outcome)
    assert partition.audit.target_states[key_of(VIEW, "v1")].ledger.invalid == {}


def test_what_comes_before_any_live_event_is_told_when_time_begins() -> None:
    partition = Partition()
    partition.take(snapshot(10, START_MS - YEARS_MS))
    partition.audit.advance(START_MS, partition.outcome)
    assert [(count.raw, count.as_of) for count in partition.outcome.counts] == [(10, START_MS)]


kinds = st.builds(
    Event,
    ts=st.integers(START_MS - YEARS_MS, START_MS + 5 * MINUTE_MS),
    actor=st.none() | st.sampled_from(["a", "b"]),
    target=st.sampled_from(["v1", "v2"]),
    id=st.none() | st.sampled_from(["1", "2", "3"]),
    undo=st.sampled_from([False, False, True]),
    history=st.booleans(),
)


@given(st.lists(kinds, max_size=60), st.integers(1, 40))
@settings(deadline=None)
def test_any_mixture_is_counted_once_by_id_and_undone_in_the_order_in_which_it_came(
    events: list[Event], batch: int
) -> None:
    """Without the rules that compare acts, an independent count of historic events in order, then of the live ones."""
    off = frozenset({"double_click", "rate", "rate_day"})
    partition = Partition(AuditSettings(rules=RuleSettings(off=off)))
    for event in events:
        event.id = event.id and f"{event.target}{event.id}"
        if not event.history:
            event.ts = max(event.ts, START_MS)
    for at in range(0, len(events), batch):
        partition.take(events[at : at + batch])
    partition.audit.advance(START_MS + DAY_MS, partition.outcome)
    seen: Counter[tuple[str | None, bool]] = Counter()
    expected: dict[str, Counter[str]] = {event.target: Counter() for event in events}
    unmatched = 0
    new = []
    for event in events:
        again = event.id is not None and seen[event.id, event.undo] > 0
        seen[event.id, event.undo] += 1
        if again:
            expected[event.target][DUPLICATE_ID] += not event.undo
        else:
            new.append(event)
    in_turn = [e for e in new if e.history] + sorted(
        (e for e in new if not e.history), key=lambda e: (e.ts // 10_000, e.undo)
    )
    for event in in_turn:
        parts = expected[event.target]
        if not event.undo:
            parts["valid"] += 1
        elif parts["valid"]:
            parts["valid"] -= 1
            parts[UNDONE] += 1
        else:
            unmatched += 1
    for target, parts in expected.items():
        state = partition.audit.target_states.peek(key_of(VIEW, target))
        assert state is not None
        assert {"valid": state.ledger.valid, **state.ledger.invalid} == {"valid": parts["valid"], **+parts}
    assert partition.outcome.unmatched_undos == unmatched
    assert partition.outcome.historic == sum(event.history for event in events)
    assert partition.outcome.late == 0
