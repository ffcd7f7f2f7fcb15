"""Likes, follows and their undos are states: a current one counts once, and an undo takes back only its own act."""

from __future__ import annotations

import random
from collections import Counter
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detectors.audit import Audit, AuditSettings
from detectors.events.block import EventBlock
from detectors.events.key import key_of
from detectors.intake import heap, related, ticks
from detectors.intake.rules.reasons import EXEMPT, TAGS
from detectors.intake.rules.settings import RuleSettings
from detectors.records import Outcome
from detectors.relations import relation_entry
from detectors.relations.debits import live_events
from detectors.state.case import Case
from detectors.state.ledger import Ledger
from detectors.state.relations import cover
from detectors.state.settlement import Settlement
from detectors.state.target_state import TargetState

START_MS = 1_700_000_000_000 // 300_000 * 300_000
END_MS = START_MS + 3_600_000
KEY = key_of(2, "v")


class Act(NamedTuple):
    at: int
    actor: int = 2
    undo: bool = False
    target: str = "v"
    metric: int = 2
    network: int = -1
    history: bool = False
    unrelated: bool = False
    rule: int = 0


def undone(at: int, actor: int = 2) -> Act:
    return Act(at, actor, undo=True)


def block_of(acts: list[Act]) -> EventBlock:
    return EventBlock(
        target=[act.target for act in acts],
        metric=[act.metric for act in acts],
        ts=[START_MS + act.at for act in acts],
        actor=[act.actor for act in acts],
        network=[act.network for act in acts],
        undo=[act.undo for act in acts],
        history=[act.history for act in acts] if any(act.history for act in acts) else None,
        unrelated=[act.unrelated for act in acts] if any(act.unrelated for act in acts) else None,
        rule=[act.rule for act in acts] if any(act.rule for act in acts) else None,
    )


class Run:
    """An audit that gets acts in blocks; time moves when it is told to."""

    def __init__(self, rules: RuleSettings | None = None) -> None:
        self.audit, self.outcome = Audit(AuditSettings(rules=rules or RuleSettings())), Outcome()
        self.position = 0

    def take(self, *acts: Act, size: int = 7) -> Run:
        for begin in range(0, len(acts), size):
            self.position += 1
            self.audit.observe(block_of(list(acts[begin : begin + size])), self.position, self.outcome)
        return self

    def until(self, at: int = END_MS - START_MS) -> Run:
        self.audit.advance(START_MS + at, self.outcome)
        return self

    def state(self, key: str = KEY) -> TargetState:
        return self.audit.target_states[key]  # type: ignore[index]  # a key is text

    def ledger(self) -> Ledger:
        return self.state().ledger

    def parts(self) -> tuple[int, int, dict[str, int]]:
        ledger = self.ledger()
        return ledger.raw, ledger.valid, ledger.invalid

    def current(self) -> set[int]:
        return set(self.audit.relations.sample(KEY, 1 << 30))


def counted(*acts: Act) -> tuple[int, int, dict[str, int]]:
    return Run().take(*acts).until().parts()


def test_an_act_that_stands_counts_once_until_it_is_undone() -> None:
    assert counted(Act(0), Act(40_000), Act(80_000)) == (3, 1, {"already_counted": 2})
    assert counted(Act(0), undone(40_000), Act(80_000)) == (2, 1, {"undone": 1})
    assert counted(Act(0), Act(40_000, actor=3)) == (2, 1, {"already_counted": 1}), "with and without an account's age"


def test_an_undo_without_an_act_moves_nothing_and_is_counted() -> None:
    run = Run().take(Act(0), undone(20_000, 4), undone(40_000), undone(60_000)).until()
    assert run.parts() == (1, 0, {"undone": 1})
    assert (run.outcome.unmatched_undos, run.outcome.undos) == (2, {"current": 1, "unmatched": 2})
    assert run.current() == set()


@pytest.mark.parametrize("metric", [0, 1, 2])
def test_views_are_no_states(metric: int) -> None:
    acts = [Act(40_000 * n, metric=metric) for n in range(3)]
    ledger = Run().take(*acts).until().state(key_of(metric, "v")).ledger
    assert (ledger.raw, ledger.valid) == (3, 1 if metric else 3)


def test_an_undo_read_before_its_act_finds_it_for_a_while() -> None:
    early = [undone(100_000), Act(500_000, actor=8)]
    within = Run().take(*early).until(130_000).take(Act(90_000), Act(91_000))
    assert within.until().parts() == (3, 2, {"undone": 1})
    assert within.outcome.undos == {"unmatched": 1, "early": 1}
    beyond = Run().take(*early).until(100_000 + relation_entry.EARLY_MS + 20_000).take(Act(90_000))
    assert beyond.until().parts() == (2, 2, {})
    other = Run().take(*early).until(130_000).take(Act(90_000, actor=4))
    assert other.until().parts() == (2, 2, {})
    after = Run().take(undone(100_000), Act(110_000)).until()
    assert after.parts() == (1, 1, {}), "an act after the undo is another"


def test_only_the_last_early_undos_of_a_target_wait() -> None:
    many = [undone(1_000 * n, 2 * n + 2) for n in range(relation_entry.EARLY_MAX + 3)]
    run = Run().take(*many).until(80_000)
    relations = run.state().relations
    assert relations is not None
    assert [actor for actor, *_ in relations.early] == [act.actor for act in many[3:]]


def test_the_reasons_have_an_order() -> None:
    rules = RuleSettings(double_click_seconds=(30.0, 0.0, 30.0))
    run = Run(rules).take(Act(0), Act(5_000), Act(6_000, actor=4), undone(7_000, 4), Act(8_000, 4)).until()
    assert run.ledger().invalid == {"already_counted": 1, "undone": 1}
    robot = TAGS.index("declared_robot")
    assert Run().take(Act(0), Act(5_000, rule=robot), Act(40_000, 4, rule=robot), Act(60_000, 4)).until().parts() == (
        *(4, 2),
        {"declared_robot": 2},
    )


def test_a_rejected_act_begins_no_relation() -> None:
    rules = RuleSettings(per_minute=1)
    acts = [Act(0), undone(1_000), Act(2_000), undone(3_000)]
    run = Run(rules).take(*acts).until()
    assert run.parts() == (2, 0, {"undone": 1, "rate": 1})
    assert run.outcome.unmatched_undos == 1


def test_who_is_exempt_has_no_acts_that_stand() -> None:
    acts = [Act(20_000 * n, rule=EXEMPT) for n in range(3)]
    assert counted(*acts, Act(80_000, undo=True, rule=EXEMPT)) == (3, 2, {"undone": 1})


def test_inputs_without_relations_and_events_without_actor_follow_the_old_rule() -> None:
    for apart in ({"unrelated": True}, {"actor": -1}):
        acts = [Act(20_000 * n, **apart) for n in range(3)]
        takes = [Act(80_000 + n, undo=True, **apart) for n in range(5)]
        run = Run().take(*acts, *takes).until()
        assert run.parts() == (3, 0, {"undone": 3})
        assert run.outcome.unmatched_undos == 2
        assert run.current() == set()


def test_an_undo_outside_relations_takes_no_event_of_one_that_stands() -> None:
    run = Run().take(Act(0), Act(10, actor=-1), *(Act(40_000 + n, actor=-1, undo=True) for n in range(2))).until()
    assert run.parts() == (2, 1, {"undone": 1})
    assert run.current() == {2}


def test_switched_off_every_undo_follows_the_old_rule() -> None:
    run = Run(RuleSettings(off=frozenset({"already_counted"}))).take(Act(0), Act(40_000), undone(60_000, 4)).until()
    assert run.parts() == (2, 1, {"undone": 1})
    assert run.outcome.undos == {}


def test_history_begins_relations() -> None:
    past = [Act(n, 2 * n + 2, history=True) for n in range(20)]
    run = Run().take(*past, Act(100, 4, history=True), Act(101, 4, undo=True, history=True), size=30)
    assert run.parts() == (21, 19, {"already_counted": 1, "undone": 1})
    run.take(Act(200_000, 2), Act(200_001, 4), undone(200_002, 6)).until()
    assert run.parts() == (23, 19, {"already_counted": 2, "undone": 2})
    assert run.current() == {act.actor for act in past} - {6}


def test_of_events_from_before_relations_an_undo_takes_one() -> None:
    run = Run()
    state = run.audit.target_states.change(KEY)
    state.ledger.valid, state.unknown_acts = 2, 2
    run.take(Act(0, 4), *(undone(20_000 + n, 10 + 2 * n) for n in range(4))).until()
    assert run.parts() == (3, 1, {"undone": 2})
    assert run.outcome.undos == {"unknown": 2, "unmatched": 2}
    assert run.current() == {4}


def test_a_count_that_is_incomplete_may_lack_any_act() -> None:
    run = Run()
    run.audit.target_states.change(KEY).incomplete = True
    run.take(Act(0, 4), undone(20_000, 6)).until()
    assert run.parts() == (1, 0, {"undone": 1})


@pytest.mark.parametrize("few_rows", [256, 0])
def test_a_failure_costs_relations_and_no_event(few_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticks, "FEW_ROWS", few_rows)
    run = Run().take(Act(0), Act(1, 4))
    with monkeypatch.context() as broken:
        broken.setattr(relation_entry, "open_all", lambda *_: 1 / 0)
        run.until(20_000).take(Act(5, 6))
    assert run.outcome.failures == {"rules": 2}
    run.take(Act(30_000), undone(50_000, 4)).until()
    assert run.parts() == (4, 3, {"undone": 1})


def test_a_tick_too_large_for_rows_is_counted_without_relations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticks, "FEW_ROWS", 0)
    monkeypatch.setattr(heap, "JUDGED_ROWS", 100)
    monkeypatch.setattr(heap, "FOLD_ROWS", 10)
    run = Run().take(*(Act(n, 2 * n + 2) for n in range(150)), size=50).until()
    state = run.state()
    assert state.ledger.valid == 150
    assert state.unknown_acts > 100
    assert state.unknown_acts + len(run.current()) == 150


# ---------------------------------------------------------------- in any order

acts_of_some = st.lists(
    st.tuples(
        st.integers(0, 12).map(lambda n: n * 2_500),
        st.integers(1, 5).map(lambda n: 2 * n),
        st.booleans(),
        st.sampled_from("vw"),
        st.sampled_from([1, 2]),
        st.sampled_from([-1, 5]),
    ).map(lambda fields: Act(*fields)),
    max_size=40,
)


def expected(acts: list[Act]) -> dict[str, Counter[str]]:
    """In plain words: by key, what becomes of the acts and undos in the order of their times.

    Within a moment, what changes the state comes first.
    """
    found: dict[str, Counter[str]] = {}
    for key in {key_of(act.metric, act.target) for act in acts}:
        counts = found[key] = Counter()
        mine = [act for act in acts if key_of(act.metric, act.target) == key]
        for actor in {act.actor for act in mine}:
            current = False
            its = [act for act in mine if act.actor == actor]
            for at in sorted({act.at for act in its}):
                now = Counter(act.undo for act in its if act.at == at)
                while +now:
                    undo = current if now[current] else not current
                    now[undo] -= 1
                    if undo:
                        counts["undone" if current else "unmatched"] += 1
                    else:
                        counts["already_counted" if current else "valid"] += 1
                    current = not undo
            counts["current"] += current
    return found


@settings(deadline=None)
@given(acts_of_some, st.randoms(use_true_random=False), st.sampled_from([1, 3, 50]), st.sampled_from([0, 256]))
@example([Act(0, 2), Act(0, 2), Act(0, 2, undo=True)], random.Random(0), 1, 0)
def test_neither_order_nor_blocks_change_anything(
    acts: list[Act], rng: random.Random, size: int, few_rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ticks, "FEW_ROWS", few_rows)
        patch.setattr(related, "CHUNK_ACTS", 2)
        patch.setattr(heap, "CHUNK_ACTS", 2)
        patch.setattr(relation_entry, "KEYS_TOGETHER", 2)
        rng.shuffle(acts)
        run = Run().take(*acts, size=size).until()
    wanted = expected(acts)
    assert run.outcome.unmatched_undos == sum(counts["unmatched"] for counts in wanted.values())
    for key, counts in wanted.items():
        ledger = run.state(key).ledger
        assert ledger.invalid.get("already_counted", 0) == counts["already_counted"]
        assert ledger.invalid.get("undone", 0) == counts["undone"]
        assert ledger.valid == live_events(ledger) == counts["valid"] - counts["undone"] == counts["current"]


def test_an_undo_while_a_case_waits_for_its_settlement_leaves_less_to_settle() -> None:
    run = Run().take(*(Act(n, 2 * n + 2) for n in range(6))).until(20_000)
    state = run.state()
    assert state.relations is not None
    span = START_MS, START_MS + 60_000
    state.ledger.move("valid", "quarantined", 4)
    cover(state.relations, "f", ("valid", "quarantined", 4), span)
    case = Case("f", *span, 0, "suspect", "few_networks", artificial=4)
    state.settlements = [Settlement(case, END_MS, END_MS)]
    run.take(undone(30_000)).until(60_000)
    assert (case.undone, state.ledger.valid, state.ledger.quarantined) == (1, 2, 3)
