"""One actor's acts on one target: which of them are double clicks or too many, whatever came first."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detectors.audit import Audit, AuditSettings
from detectors.events.block import EventBlock
from detectors.events.key import VIEW, key_of
from detectors.intake import heap
from detectors.intake.rules.reasons import EXEMPT
from detectors.intake.rules.settings import RuleSettings
from detectors.records import Outcome
from tests.states import states_of

START_MS = 1_700_000_040_000
"""A full minute."""
MINUTE_MS = 60_000
END_MS = START_MS + 20 * MINUTE_MS

RULES = RuleSettings(
    off=frozenset({"already_counted"}),  # tests/detectors/relations has the order of both
    double_click_seconds=(30.0, 20.0, 0.0),
    per_minute=5,
)


class Act(NamedTuple):
    """One event; ``at`` in ms from START_MS."""

    at: int
    actor: int = 0
    target: str = "v"
    metric: int = 0
    spent: int = -1
    undo: bool = False
    exempt: bool = False
    network: int = -1


acts_of_some = st.lists(
    st.builds(
        Act,
        st.integers(0, 300).map(lambda halves: halves * 500) | st.sampled_from([0, MINUTE_MS, 59_999]),
        st.sampled_from([0, 1, 2, 8]),
        st.sampled_from("vw"),
        st.sampled_from([0, 0, 0, 1, 2]),
        st.sampled_from([-1, -1, 0, 1_900, 2_500, 20_000]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([False, False, False, True]),
        st.integers(-1, 2),
    ),
    max_size=60,
)


def expected(events: list[Act], rules: RuleSettings) -> dict[str, Counter[str]]:
    """The same in plain words: invalid events by key and reason."""
    by_pair: dict[tuple[str, int], list[Act]] = defaultdict(list)
    for act in events:
        if not act.exempt:
            by_pair[f"{act.metric}{act.target}", act.actor // 2].append(act)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for (key, _), mine in by_pair.items():
        mine.sort(key=lambda act: (act.at, -2 if act.undo else act.spent))
        numbers: Counter[int] = Counter()
        for before, act in zip([None, *mine], mine, strict=False):
            gap = 10**9 if before is None else act.at - before.at
            rounded = gap == 0 and (START_MS + act.at) % MINUTE_MS == 0
            soon = gap < rules.double_click_seconds[act.metric] * 1000 and not rounded
            undone = before is not None and before.undo
            viewing = before is not None and any(2_000 <= spent <= gap for spent in (before.spent, act.spent))
            minute = act.at // MINUTE_MS
            if act.undo:
                continue
            if soon and not undone and not viewing:
                found[key]["double_click"] += 1
            elif rules.per_minute and numbers[minute] >= rules.per_minute and not rounded:
                found[key]["rate"] += 1
            numbers[minute] += not rounded
    return dict(found)


def block_of(events: list[Act]) -> EventBlock:
    """The events as the columns that an audit reads."""
    return EventBlock(
        target=[act.target for act in events],
        metric=[act.metric for act in events],
        ts=[START_MS + act.at for act in events],
        actor=[act.actor for act in events],
        network=[act.network for act in events],
        spent=[act.spent for act in events],
        undo=[act.undo for act in events],
        rule=[EXEMPT if act.exempt else 0 for act in events],
    )


def audited(events: list[Act], rules: RuleSettings = RULES, *, size: int = 7) -> tuple[Audit, Outcome]:
    """Events in this order, in blocks of this size, time standing until all are in."""
    audit, outcome = Audit(AuditSettings(rules=rules)), Outcome()
    for at in range(0, len(events), size):
        audit.observe(block_of(events[at : at + size]), 1, outcome)
    audit.advance(END_MS, outcome)
    return audit, outcome


def caught(audit: Audit) -> dict[str, Counter[str]]:
    """Invalid events by key and reason, undone ones left out."""
    found = {key: Counter(state.ledger.invalid) for key, state in states_of(audit).items()}
    for counts in found.values():
        del counts["undone"]
    return {key: counts for key, counts in found.items() if counts}


@settings(deadline=None)
@given(acts_of_some)
@example([Act(0), Act(0), Act(5_000), Act(MINUTE_MS), Act(MINUTE_MS)])
@example([Act(0), Act(500), Act(500, undo=True, exempt=True)])
def test_the_rules_catch_what_their_words_say(events: list[Act]) -> None:
    assert caught(audited(events)[0]) == expected(events, RULES)


@settings(deadline=None)
@given(acts_of_some, st.randoms(use_true_random=False), st.sampled_from([1, 3, 12, 60]))
def test_neither_order_nor_blocks_change_anything(events: list[Act], random: object, size: int) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis does not type it

    def state(audit: Audit) -> dict[str, object]:
        for state in states_of(audit).values():
            for crowd in state.open.values():
                crowd.settle()  # rows that wait are in the order in which they came
        return {key: msgspec.to_builtins(state) for key, state in states_of(audit).items()}

    one, other = audited(events)[0], audited(shuffled, size=size)[0]
    assert state(one) == state(other)


@settings(deadline=None)
@given(acts_of_some, st.booleans())
def test_the_ledger_adds_up_and_windows_hold_the_valid_alone(events: list[Act], off: bool) -> None:
    rules = RuleSettings(off=frozenset({"already_counted", "double_click", "rate"})) if off else RULES
    audit, outcome = audited(events, rules)
    raw = Counter(f"{act.metric}{act.target}" for act in events if not act.undo)
    assert {key: state.ledger.raw for key, state in states_of(audit).items() if state.ledger.raw} == dict(raw)
    assert sum(hit.events for hit in outcome.hits) == sum(sum(counts.values()) for counts in caught(audit).values())
    for key, state in states_of(audit).items():
        in_windows = sum(crowd.n for crowd in state.open.values() if crowd is state.open.get("hour"))
        assert in_windows == raw[key] - sum(caught(audit).get(key, Counter()).values())
    if off:
        assert caught(audit) == {}


def test_a_double_click_is_one_act_and_the_first_stays() -> None:
    audit, _ = audited([Act(1_000), Act(1_200), Act(29_000), Act(60_000, actor=2)])
    assert audit.target_states[key_of(VIEW, "v")].ledger.valid == 2
    assert audit.target_states[key_of(VIEW, "v")].ledger.invalid == {"double_click": 2}
    assert audited([Act(1_000), Act(31_000)])[0].target_states[key_of(VIEW, "v")].ledger.invalid == {}


@pytest.mark.parametrize(("views", "too_many"), [(5, {}), (6, {"rate": 1}), (8, {"rate": 3})])
def test_as_many_acts_as_a_minute_may_have_are_valid_and_the_next_is_not(views: int, too_many: dict[str, int]) -> None:
    """Each is a viewing of its own, so none is a double click."""
    audit, _ = audited([Act(1_000 + 4_000 * n, spent=3_000) for n in range(views)])
    assert audit.target_states[key_of(VIEW, "v")].ledger.invalid == too_many


def test_taking_an_act_back_is_not_one_act_too_many() -> None:
    events = [Act(1_000 + 4_000 * n, spent=3_000) for n in range(6)]
    events[4:4] = [Act(events[-1].at + 1_000, undo=True), Act(events[-1].at + 2_000, undo=True)]
    audit, outcome = audited(events)
    assert audit.target_states[key_of(VIEW, "v")].ledger.invalid == {"rate": 1, "undone": 2}
    assert outcome.failures == {}


def test_acts_are_counted_by_the_minute_of_the_clock() -> None:
    events = [Act(at + 4_000 * n, spent=3_000) for at in (41_000, MINUTE_MS + 1_000) for n in range(5)]
    assert audited(events)[0].target_states[key_of(VIEW, "v")].ledger.invalid == {}


def test_somebody_who_watches_a_short_clip_again_is_no_double_click() -> None:
    """Whether the time of an event is the beginning of a view or its end."""
    begins = [Act(1_000 + 12_000 * n, spent=12_000) for n in range(4)]
    assert audited(begins)[0].target_states[key_of(VIEW, "v")].ledger.valid == 4
    tapped = [Act(1_000, spent=0), Act(1_300, spent=12_000), Act(13_500, spent=11_000)]
    assert audited(tapped)[0].target_states[key_of(VIEW, "v")].ledger.invalid == {"double_click": 1}


@pytest.mark.parametrize(("off", "again"), [((), "already_counted"), (("already_counted",), "double_click")])
def test_a_like_taken_back_and_given_again_is_no_double_click(off: tuple[str, ...], again: str) -> None:
    events = [Act(1_000, metric=1), Act(2_000, metric=1, undo=True), Act(3_000, metric=1), Act(3_500, metric=1)]
    rules = replace(RULES, off=frozenset(off))
    assert audited(events, rules)[0].target_states[key_of(1, "v")].ledger.invalid == {"undone": 1, again: 1}


@pytest.mark.parametrize("step", [MINUTE_MS, 86_400_000])
def test_times_that_are_known_to_the_minute_or_the_day_accuse_nobody(step: int) -> None:
    events = [Act(n // 10 * step) for n in range(40)]
    audit, outcome = Audit(AuditSettings()), Outcome()
    audit.observe(block_of(events), 1, outcome)
    audit.advance(START_MS + 5 * 86_400_000, outcome)
    assert audit.target_states[key_of(VIEW, "v")].ledger.invalid == {}


def test_a_tick_too_large_to_be_compared_is_counted_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "JUDGED_ROWS", 100)
    monkeypatch.setattr(heap, "FOLD_ROWS", 10)
    audit, outcome = Audit(AuditSettings()), Outcome()
    for n in range(60):
        audit.observe(block_of([Act(n * 100 + k, actor=2 * k) for k in range(20)]), 1, outcome)
        assert audit.intake.memory_bytes() < 50_000
    audit.advance(END_MS, outcome)
    ledger = audit.target_states[key_of(VIEW, "v")].ledger
    assert ledger.raw == 1200
    assert ledger.valid >= 20


def test_memory_is_a_minutes_acts() -> None:
    audit, outcome = Audit(AuditSettings()), Outcome()
    for second in range(600):
        audit.observe(
            block_of([Act(second * 1000 + k, actor=2 * (second * 50 + k)) for k in range(50)]), second, outcome
        )
        audit.advance(START_MS + second * 1000 - 10_000, outcome)
    assert len(audit.intake.past()) <= 7
    repeats = audit.intake.rules.by_metric[0]
    assert repeats is not None
    assert repeats.memory_bytes() <= 20 * 50 * 80


def test_an_actor_has_thirty_acts_a_minute_on_a_target_unless_it_is_configured() -> None:
    assert RuleSettings().per_minute == 30


AT_ONCE = [Act(1_000), Act(1_000), Act(1_000), Act(1_001)]


def invalid(events: list[Act], rules: RuleSettings, *, size: int = 7) -> dict[str, int]:
    return audited(events, rules, size=size)[0].target_states[key_of(VIEW, "v")].ledger.invalid


def test_of_two_rules_one_can_be_off_and_then_even_acts_of_one_moment_are_valid() -> None:
    assert invalid(AT_ONCE, RULES) == {"double_click": 3}
    assert invalid(AT_ONCE, RuleSettings(off=frozenset({"double_click"}), per_minute=3)) == {"rate": 1}
    assert invalid(AT_ONCE, RuleSettings(off=frozenset({"double_click", "rate"}))) == {}
    assert invalid([Act(1_000), Act(40_000)], RuleSettings(off=frozenset({"rate"}))) == {}
    assert invalid(AT_ONCE, RuleSettings(double_click_seconds=(0.0,) * 3, per_minute=0, per_day=0)) == {}


def test_a_watch_time_of_many_days_fits_between_no_two_acts() -> None:
    """It is no number of four bytes, and must not come round to five seconds."""
    others = [Act(1_000 + n, actor=2 * n, target="w") for n in range(1, 20)]
    for size in (1, 100):
        for spent, found in (((1 << 32) + 5_000, {"double_click": 1}), (5_000, {})):
            assert invalid([Act(1_000), *others, Act(11_000, spent=spent)], RULES, size=size) == found


def test_undos_that_are_alone_in_their_tick_are_no_act_and_no_failure() -> None:
    audit, outcome = audited([Act(1_000, metric=1), *[Act(90_000, metric=1, undo=True)] * 2])
    assert audit.target_states[key_of(1, "v")].ledger.invalid == {"undone": 1}
    assert outcome.failures == {}


def test_a_rule_that_is_off_has_no_limit_whatever_is_configured() -> None:
    strict = {"double_click_seconds": (30.0,) * 3, "per_minute": 1, "per_day": 1}
    for others in ({"double_click", "rate"}, {"double_click", "rate_day"}, {"rate", "rate_day"}):
        found = invalid(AT_ONCE, RuleSettings(off=frozenset(others), **strict))  # type: ignore[arg-type]  # of many types
        assert found == dict.fromkeys({"double_click", "rate", "rate_day"} - others, 3)
    every = frozenset({"double_click", "rate", "rate_day"})
    assert invalid(AT_ONCE, RuleSettings(off=every, **strict)) == {}  # type: ignore[arg-type]  # as above


def test_without_watch_times_a_repetition_is_no_viewing_however_many_come_at_once() -> None:
    events = [Act(1_000), Act(9_000), *(Act(1_000 + n, actor=2 * n, target="w") for n in range(1, 20))]
    block = block_of(events)
    block.spent = None
    audit, outcome = Audit(AuditSettings(rules=RULES)), Outcome()
    audit.observe(block, 1, outcome)
    audit.advance(END_MS, outcome)
    assert audit.target_states[key_of(VIEW, "v")].ledger.invalid == {"double_click": 1}
