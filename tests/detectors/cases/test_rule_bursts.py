"""A rule that removes unusually many events of a target gets one flag; what is usual gets none, and no event moves."""

from __future__ import annotations

import random
from functools import cache

import msgspec
import pytest

from detectors.audit import Audit
from detectors.cases.rule_bursts import WHAT
from detectors.cases.statuses import CLOSED, OPENED, UPDATED
from detectors.events.event import Event
from detectors.events.key import VIEW, key_of
from detectors.intake.rules.reasons import DECLARED_ROBOT, DOUBLE_CLICK, RULES
from detectors.lab.traffic.blocks import Packer
from detectors.records import Flag, Outcome
from detectors.state.ledger import DUPLICATE_ID
from detectors.state.removals import RULE
from tests.crowds import DAY_MS, MINUTE_MS, START_MS, TICK_MS, bought, in_order, ordinary, viral
from tests.robots import audited, robots, tagged, with_usual

HISTORY_MINUTES = 240
BURST_MS = START_MS + 100 * MINUTE_MS + 3 * MINUTE_MS // 2
TARGET = "v3"


def rule_flags(outcome: Outcome, target: str | None = None) -> list[Flag]:
    return [flag for flag in outcome.flags if flag.verdict == RULE and target in (None, flag.target)]


@cache
def background(minutes: int = HISTORY_MINUTES) -> list[Event]:
    return ordinary(1, minutes=minutes)


@cache
def attacked(minutes: float = 20.0, count: int = 1_200) -> tuple[Audit, Outcome]:
    return audited(in_order(background(), robots(2, TARGET, begin=BURST_MS, count=count, minutes=minutes)))


# ---------------------------------------------------------------- a burst


@pytest.mark.parametrize("minutes", [0.1, 20.0, 60.0, 179.0])
def test_declared_robots_on_one_target_are_one_flag_that_opens_and_closes(minutes: float) -> None:
    outcome = attacked(minutes)[1]
    flags = rule_flags(outcome)
    assert {(flag.target, flag.metric) for flag in flags} == {(TARGET, "view")}
    assert len({flag.flag_id for flag in flags}) == 1
    assert [flag.revision for flag in flags] == list(range(1, len(flags) + 1))
    assert [flag.status for flag in flags] == [OPENED, *[UPDATED] * (len(flags) - 2), CLOSED]
    assert 2 <= len(flags) <= 6
    assert [flag for flag in outcome.flags if flag.verdict != RULE] == []


@pytest.mark.parametrize("minutes", [0.1, 20.0, 60.0, 179.0])
def test_its_numbers_are_exactly_what_was_removed(minutes: float) -> None:
    last = rule_flags(attacked(minutes)[1])[-1]
    assert (last.observed, last.artificial.value, last.artificial.low, last.artificial.high) == (1200,) * 4
    assert last.expected.low <= last.expected.value <= last.expected.high < 100
    assert sum(moment.observed for moment in last.series) == 1200
    assert last.onset <= BURST_MS < last.onset + 5 * MINUTE_MS
    assert BURST_MS + (minutes - 5) * MINUTE_MS <= last.until <= BURST_MS + minutes * MINUTE_MS + TICK_MS
    assert 0 <= last.log["from"] <= last.log["to"]


def test_it_says_how_many_events_of_what_and_how_many_are_usual() -> None:
    (reason,) = rule_flags(attacked()[1])[-1].reasons
    assert (reason.code, reason.detector, reason.value) == (DECLARED_ROBOT, "rules", 1200.0)
    assert reason.text == f"1,200 events of declared robots, where {reason.baseline:,.0f} are usual"
    assert reason.p == 1e-30
    assert rule_flags(attacked()[1])[-1].score == 100
    assert set(WHAT) == set(RULES)


def test_it_opens_at_the_end_of_the_tick_in_which_a_hundred_are_unusual() -> None:
    events, opened = robots(2, TARGET, begin=BURST_MS), rule_flags(attacked()[1])[0]
    by_then, before = (sum(event.ts < end for event in events) for end in (opened.until, opened.until - TICK_MS))
    assert opened.observed == by_then >= 100 + opened.expected.value
    assert before < 100 + opened.expected.value + 1


def test_no_correction_belongs_to_it_and_the_count_is_as_without_it() -> None:
    audit, outcome = attacked()
    assert outcome.corrections == []
    ledger = audit.target_states[key_of(VIEW, TARGET)].ledger
    assert ledger.invalid[DECLARED_ROBOT] == 1200
    assert ledger.raw == 1200 + sum(event.target == TARGET for event in background())


def test_nothing_learns_from_it() -> None:
    with_burst, without = attacked()[0], audited(background())[0]
    states = [audit.target_states[key_of(VIEW, TARGET)] for audit in (with_burst, without)]
    assert states[0].levels == states[1].levels
    assert states[0].rule_burst is None
    platforms = [audit.platforms[0].dump() for audit in (with_burst, without)]
    assert platforms[0] == platforms[1]


def test_below_a_hundred_beyond_the_usual_it_is_no_burst() -> None:
    assert rule_flags(attacked(5.0, 99)[1]) == []
    assert rule_flags(attacked(5.0, 120)[1])


def test_a_hundred_that_take_a_day_are_no_burst() -> None:
    assert rule_flags(attacked(138.0, 150)[1]) == []


def test_two_bursts_far_apart_are_two_flags() -> None:
    second = BURST_MS + 60 * MINUTE_MS
    events = in_order(background(), robots(2, TARGET, begin=BURST_MS), robots(3, TARGET, begin=second))
    flags = [flag for flag in rule_flags(audited(events)[1]) if flag.status == CLOSED]
    assert [flag.observed for flag in flags] == [1200, 1200]
    assert len({flag.flag_id for flag in flags}) == 2
    assert flags[0].until < flags[1].onset


def test_two_rules_are_one_flag_with_a_reason_each() -> None:
    clicks = [Event(ts=BURST_MS + n * 400, actor="a", target=TARGET) for n in range(600)]
    _, outcome = audited(in_order(background(), robots(2, TARGET, begin=BURST_MS, minutes=8), clicks))
    flags = rule_flags(outcome)
    assert len({flag.flag_id for flag in flags}) == 1
    assert {DECLARED_ROBOT, DOUBLE_CLICK} <= {reason.code for reason in flags[-1].reasons}
    assert flags[-1].observed == sum(reason.value for reason in flags[-1].reasons)
    assert sum(moment.observed for moment in flags[-1].series) == flags[-1].observed
    assert UPDATED in {flag.status for flag in flags}


def test_a_burst_of_robots_and_a_bought_burst_are_a_flag_each_and_do_not_touch() -> None:
    paid = bought(3, TARGET, begin=BURST_MS + 5 * MINUTE_MS)
    _, alone = audited(in_order(background(), paid))
    _, both = audited(in_order(background(), paid, robots(2, TARGET, begin=BURST_MS)))
    assert rule_flags(both)[-1].observed == 1200
    assert rule_flags(both)[-1].status == CLOSED
    assert both.corrections == alone.corrections
    cases = [[flag for flag in outcome.flags if flag.verdict != RULE] for outcome in (alone, both)]
    for flag in cases[0] + cases[1]:
        flag.log = {}
    assert cases[0] == cases[1]
    assert {flag.verdict for flag in cases[0]} == {"artificial"}


def test_two_targets_at_once_are_a_flag_each() -> None:
    both = [robots(n, f"v{n}", begin=BURST_MS) for n in (2, 3)]
    flags = [flag for flag in rule_flags(audited(in_order(background(), *both))[1]) if flag.status == CLOSED]
    assert {flag.target: flag.observed for flag in flags} == {"v2": 1200, "v3": 1200}


def test_late_robots_are_counted_and_make_no_burst() -> None:
    late = [msgspec.structs.replace(e, ts=START_MS) for e in robots(2, TARGET, begin=BURST_MS)]
    audit, outcome = audited(background())
    assert rule_flags(outcome) == []
    more, packer = Outcome(), Packer(1)
    for position, event in enumerate(late):
        for _, block in packer.pack([event]):
            audit.observe(tagged(block, [event]), 100_000 + position, more)
    audit.advance(audit.now + DAY_MS, more)
    assert audit.target_states[key_of(VIEW, TARGET)].ledger.invalid[DECLARED_ROBOT] == 1200
    assert rule_flags(more) == []


# ---------------------------------------------------------------- what is usual


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_hit_with_its_usual_robots_and_double_clicks_is_none(everywhere: bool) -> None:
    hit = with_usual(viral(3, TARGET, begin=BURST_MS, minutes=40, per_minute=300), 5)
    rest = with_usual(background(), 4) if everywhere else background()
    audit, outcome = audited(in_order(rest, hit))
    invalid = audit.target_states[key_of(VIEW, TARGET)].ledger.invalid
    assert invalid[DECLARED_ROBOT] > 400
    assert invalid[DOUBLE_CLICK] > 600
    assert rule_flags(outcome) == []


def test_a_producer_that_sends_half_of_all_again_is_none() -> None:
    rng = random.Random(7)
    hits = [viral(n, f"v{n}", begin=BURST_MS, minutes=60, per_minute=40 * n) for n in range(1, 6)]
    events = in_order(ordinary(1, minutes=HISTORY_MINUTES, ids=True), *hits)
    for number, event in enumerate(events):
        event.id = f"e{number}"
    again = [msgspec.structs.replace(e) for e in events if e.ts > BURST_MS and rng.random() < 0.5]
    audit, outcome = audited(in_order(events, again))
    assert audit.target_states[key_of(VIEW, "v5")].ledger.invalid[DUPLICATE_ID] > 4_000
    assert rule_flags(outcome) == []


@pytest.mark.parametrize("per_hour", [110, 200, 2_000])
def test_a_target_that_robots_always_visit_is_none(per_hour: int) -> None:
    visits = robots(2, TARGET, begin=START_MS, count=10 * per_hour, minutes=600)
    assert rule_flags(audited(in_order(background(600), visits))[1]) == []


def test_robots_that_come_to_stay_are_one_flag_and_then_usual() -> None:
    visits = robots(2, TARGET, begin=BURST_MS, count=40 * 200, minutes=40 * 60)
    _, outcome = audited(in_order(ordinary(1, minutes=44 * 60, targets=4), visits))
    flags = rule_flags(outcome)
    assert len({flag.flag_id for flag in flags}) == 1
    assert 23 <= (flags[-1].until - flags[-1].onset) / MINUTE_MS / 60 <= 28


def test_robots_on_all_targets_are_none() -> None:
    visits = [robots(n, f"v{n}", begin=BURST_MS) for n in range(24)]
    assert rule_flags(audited(in_order(background(), *visits))[1]) == []


def test_before_an_hour_of_a_thousand_events_nothing_is_unusual() -> None:
    early = robots(2, TARGET, begin=START_MS + 10 * MINUTE_MS)
    assert rule_flags(audited(in_order(background(), early))[1]) == []
    few = ordinary(1, minutes=HISTORY_MINUTES, targets=1)
    assert len(few) < 1_000
    assert rule_flags(audited(in_order(few, robots(2, "v0", begin=BURST_MS)))[1]) == []
