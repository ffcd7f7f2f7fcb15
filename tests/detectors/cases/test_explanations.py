"""A strong surge of the platform's own crowd gets one flag, moves no events, and excuses no fraud."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from detectors.audit import Audit, AuditSettings
from detectors.cases.explanations import Explanations, Promotion
from detectors.events.key import VIEW, key_of
from detectors.features import names as f
from detectors.measurement.expectation import spread
from detectors.records import Flag, Outcome
from detectors.state.case import ARTIFICIAL, Case
from detectors.state.level import Level
from detectors.state.target_state import TargetState
from detectors.thresholds import DEFAULTS
from detectors.verdict.opinion import Opinion
from detectors.windows.scales import MINUTES_MS
from tests.crowds import MINUTE_MS, START_MS, bought, in_order, ordinary, viral
from tests.detectors.judged_windows import HOUR, KEY, flags, window
from tests.detectors.judged_windows import START_MS as WINDOW_MS
from tests.detectors.test_judge import audited

HISTORY_MINUTES = 130
BURST_MS = START_MS + 100 * MINUTE_MS
HIT, BOUGHT, SMALL = "v5", "v3", "v7"


def promotion(target: str, **more: object) -> Promotion:
    return Promotion("the summer sale", target, BURST_MS - MINUTE_MS, BURST_MS + 30 * MINUTE_MS, **more)  # type: ignore[arg-type]  # each is one of its fields


@cache
def with_hit(promotions: tuple[Promotion, ...] = (), enabled: bool = True) -> tuple[Audit, Outcome]:
    return audited(
        in_order(
            ordinary(1, minutes=HISTORY_MINUTES),
            bought(2, BOUGHT, begin=BURST_MS),
            viral(3, HIT, begin=BURST_MS, minutes=9),
            viral(4, SMALL, begin=BURST_MS, minutes=5, per_minute=6),
        ),
        settings=AuditSettings(promotions=promotions, explained=enabled),
    )


def flags_of(target: str, **options: object) -> list[Flag]:
    return [flag for flag in with_hit(**options)[1].flags if flag.target == target]


def test_a_hit_is_one_incident_that_opens_and_closes_and_says_why() -> None:
    flags = flags_of(HIT)
    assert {flag.verdict for flag in flags} == {"explained"}
    assert len({flag.flag_id for flag in flags}) == 1
    assert [flag.revision for flag in flags] == list(range(1, len(flags) + 1))
    assert [flags[0].status, flags[-1].status] == ["opened", "closed"]
    assert [reason.code for reason in flags[-1].reasons] == ["surge", "own_crowd"]
    assert "the crowd is the platform's own" in flags[-1].reasons[1].text


def test_it_moves_nothing_and_no_event_of_it_is_artificial() -> None:
    audit, outcome = with_hit()
    assert all((flag.artificial.value, flag.score) == (0, 0) for flag in flags_of(HIT))
    assert [correction for correction in outcome.corrections if correction.target == HIT] == []
    ledger = audit.target_states[key_of(VIEW, HIT)].ledger
    assert ledger.valid + ledger.invalid.get("double_click", 0) == ledger.raw


def test_its_numbers_are_those_of_its_windows() -> None:
    last = flags_of(HIT)[-1]
    assert last.observed == pytest.approx(9 * 120 + 30, rel=0.15)
    assert last.expected.low <= last.expected.value <= last.expected.high < last.observed
    assert sum(moment.observed for moment in last.series) == last.observed


def test_it_does_not_come_again_and_again_and_a_small_surge_not_at_all() -> None:
    assert 2 <= len(flags_of(HIT)) <= 5
    assert flags_of(SMALL) == []


def test_the_target_learns_as_if_nothing_had_been_told() -> None:
    levels = [with_hit(enabled=on)[0].target_states[key_of(VIEW, HIT)].levels for on in (True, False)]
    assert levels[0] == levels[1]


def test_switched_off_it_is_not_told_and_the_rest_is_as_it_was() -> None:
    assert flags_of(HIT, enabled=False) == []
    assert flags_of(BOUGHT, enabled=False) == flags_of(BOUGHT)


def test_an_announced_promotion_is_named() -> None:
    last = flags_of(HIT, promotions=(promotion(HIT, factor=10.0),))[-1]
    assert last.reasons[1].code == "promotion"
    assert "'the summer sale' was announced for it" in last.reasons[1].text
    assert "more than the 10 times announced" in last.reasons[1].text


@pytest.mark.parametrize("metric", [None, 0])
def test_a_promotion_excuses_no_bought_crowd(metric: int | None) -> None:
    flags = flags_of(BOUGHT, promotions=(promotion(BOUGHT, metric=metric, factor=1000.0),))
    assert flags == flags_of(BOUGHT)
    assert flags[-1].verdict == "artificial"


def test_a_promotion_of_another_metric_or_time_is_not_this_ones() -> None:
    other = promotion(HIT, metric=1), Promotion("earlier", HIT, 0, START_MS)
    assert flags_of(HIT, promotions=other) == flags_of(HIT)


def test_the_verdict_that_comes_closes_what_was_explained() -> None:
    crowds = ordinary(1, minutes=HISTORY_MINUTES), viral(3, HIT, begin=BURST_MS, minutes=12, per_minute=60)
    _, outcome = audited(in_order(*crowds, bought(2, HIT, begin=BURST_MS + 6 * MINUTE_MS, per_minute=400)))
    verdicts = [(flag.verdict, flag.status) for flag in outcome.flags if flag.target == HIT]
    assert verdicts[0] == ("explained", "opened")
    assert ("explained", "closed") in verdicts
    assert verdicts.index(("explained", "closed")) < verdicts.index(("artificial", "opened"))


# ---------------------------------------------------------------- one window


@dataclass
class Target:
    """A target with a day of history, whose surges may be explained."""

    state: TargetState = field(default_factory=lambda: TargetState(levels={"minutes": Level(mean=40.0, windows=288)}))
    promotions: tuple[Promotion, ...] = ()
    closings: list[int] = field(default_factory=list)

    def consider(
        self, number: int = 0, *, surge: float = 20.0, crowd: float = 0.5, named: float | None = None, **of_window: Any
    ) -> list[Flag]:
        """The flags of its ``number``-th window."""
        explanations = Explanations(
            lambda at, _: self.closings.append(at), enabled=True, promotions=self.promotions, flags=flags()
        )
        look = window(self.state, number=number, **{"count": 200, "expected": 40.0, **of_window})
        if named is not None:
            look.x = {**look.x, f.NAMED: named}
        explanations.consider(look, Opinion(None, surge, crowd, [], 0.0, 0.0, 0.0), DEFAULTS)
        return look.outcome.flags


@pytest.mark.parametrize(("count", "explained"), [(119, False), (120, True)])
def test_a_surge_is_explained_from_three_times_the_expectation_on(count: int, explained: bool) -> None:
    assert bool(Target().consider(count=count, expected=40.0)) == explained


@pytest.mark.parametrize(("count", "explained"), [(59, False), (60, True)])
def test_and_from_fifty_events_beyond_it_on(count: int, explained: bool) -> None:
    assert bool(Target().consider(count=count, expected=10.0)) == explained


@pytest.mark.parametrize(("surge", "explained"), [(5.99, False), (6.0, True)])
def test_and_where_one_window_in_a_million_is_so_large(surge: float, explained: bool) -> None:
    assert bool(Target().consider(surge=surge)) == explained


@pytest.mark.parametrize(("windows", "explained"), [(11, False), (12, True)])
def test_of_a_target_with_an_hour_of_history(windows: int, explained: bool) -> None:
    target = Target(TargetState(levels={"minutes": Level(mean=40.0, windows=windows)}))
    assert bool(target.consider()) == explained
    assert Target(TargetState()).consider() == []


@pytest.mark.parametrize(("people", "explained"), [(29, False), (30, True)])
def test_by_a_crowd_of_thirty_people(people: int, explained: bool) -> None:
    assert bool(Target().consider(people=people)) == explained


@pytest.mark.parametrize(("crowd", "without", "promoted"), [(1.99, 1, 1), (2.0, 0, 1), (2.99, 0, 1), (3.0, 0, 0)])
def test_whose_crowd_is_not_odd_and_less_so_without_a_promotion(crowd: float, without: int, promoted: int) -> None:
    announced = Promotion("sale", "v", WINDOW_MS, WINDOW_MS + 1)
    assert len(Target().consider(crowd=crowd)) == without
    assert len(Target(promotions=(announced,)).consider(crowd=crowd)) == promoted


def test_it_goes_on_while_it_surges_at_all_and_is_told_again_when_it_has_doubled() -> None:
    target = Target()
    assert [flag.status for flag in target.consider(0, count=200)] == ["opened"]
    assert target.consider(1, count=60, surge=3.0) == []
    assert target.consider(2, count=140, surge=3.0) == []
    assert target.consider(3, count=60, surge=2.99) == []
    again = target.consider(4, count=1, surge=3.0)
    assert [(flag.status, flag.observed) for flag in again] == [("updated", 401)]
    assert again[0].expected.value == 160


def test_it_closes_when_two_windows_have_passed_without() -> None:
    target = Target()
    target.consider(0)
    target.consider(1)
    assert target.closings == [
        window_end + 2 * MINUTES_MS for window_end in (WINDOW_MS + MINUTES_MS, WINDOW_MS + 2 * MINUTES_MS)
    ]


def test_a_promotion_covers_the_windows_that_begin_before_its_end_and_end_after_its_beginning() -> None:
    announced = Promotion("sale", "v", 100, 200, metric=0)
    assert [announced.covers(key_of(VIEW, "v"), start, start + 10) for start in (89, 90, 91, 199, 200)] == [
        *(False, False, True, True, False)
    ]
    assert not announced.covers(key_of(1, "v"), 100, 110)
    assert not announced.covers(key_of(VIEW, "w"), 100, 110)


def explained(*counts: int, early: bool = False) -> tuple[TargetState, list[Flag]]:
    """A target whose windows of five minutes had so many events each, and all its flags; the last is closed."""
    target, flags_of_all = Target(), []
    for number, count in enumerate(counts):
        if early:
            flags_of_all += target.consider(
                number, count=count - 1, early_at_ms=WINDOW_MS + number * MINUTES_MS + 60_000
            )
        flags_of_all += target.consider(number, count=count)
    return target.state, flags_of_all


@pytest.mark.parametrize("early", [False, True])
def test_a_window_that_was_looked_at_before_its_end_is_counted_once(*, early: bool) -> None:
    state, _ = explained(200, 300, 400, early=early)
    outcome = Outcome()
    assert expired(state, outcome)
    (closed,) = outcome.flags
    half = spread(40.0, 50.0)
    assert closed.observed == 900
    assert (closed.expected.value, closed.expected.low, closed.expected.high) == (
        120,
        round(3 * (40 - half)),
        round(3 * (40 + half)),
    )
    assert (closed.onset, closed.until) == (WINDOW_MS, WINDOW_MS + 3 * MINUTES_MS)
    assert [point.observed for point in closed.series] == [200, 300, 400]


def expired(state: TargetState, outcome: Outcome, *, before_ms: int = 0) -> bool:
    """Whether a target's explained surge closes when its time has come, or so much before."""
    explanations = Explanations(lambda _, __: None, enabled=True, promotions=(), flags=flags())
    explained = state.explained
    explanations.expire(KEY, state, (explained.close_at if explained else 0) - before_ms, outcome)
    return explained is not None and state.explained is None


def test_it_closes_at_its_time_and_not_before() -> None:
    state, _ = explained(200)
    outcome = Outcome()
    assert not expired(state, outcome, before_ms=1)
    assert outcome.flags == []
    assert expired(state, outcome)
    assert [flag.status for flag in outcome.flags] == ["closed"]
    assert not expired(TargetState(), outcome)


def test_the_strongest_window_gives_the_reasons() -> None:
    target = Target()
    target.consider(0, count=200, surge=9.0)
    target.consider(1, count=900, surge=8.0)
    explained = target.state.explained
    assert explained is not None
    assert (explained.surge, explained.reasons[0].text) == (9.0, "200 events where 40 are usual")
    target.consider(2, count=300, surge=9.0)
    assert explained.reasons[0].text == "300 events where 40 are usual"
    assert explained.reasons[0].p == 10.0**-9.0


def test_what_nobody_can_say_is_not_explained() -> None:
    assert len(Target().consider(named=0.5)) == 1
    assert Target().consider(named=0.49) == []
    announced = (Promotion("sale", "v", WINDOW_MS, WINDOW_MS + 1),)
    assert len(Target(promotions=announced).consider(named=0.49)) == 1


def test_only_five_minutes_of_a_target_without_a_case_are_explained() -> None:
    assert Target().consider(scale=HOUR) == []
    open_case = Target()
    open_case.state.case = Case("id", 0, 0, 0, ARTIFICIAL, "surge")
    assert open_case.consider() == []


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (None, "5.0 times the usual came"),
        (5.0, "within the 5 times announced"),
        (4.9, "more than the 4.9 times announced"),
    ],
)
def test_a_promotion_is_compared_with_what_was_announced(factor: float | None, words: str) -> None:
    announced = (Promotion("sale", "v", WINDOW_MS, WINDOW_MS + 60_999, factor=factor),)
    (flag,) = Target(promotions=announced).consider()
    assert flag.reasons[1].text.endswith(words)
    assert f"until {datetime.fromtimestamp(WINDOW_MS / 1000 + 60, UTC):%Y-%m-%d %H:%M} UTC" in flag.reasons[1].text
    assert (flag.reasons[1].value, flag.reasons[1].baseline) == (5.0, factor or 0.0)


def test_of_an_own_crowd_its_people_are_the_evidence() -> None:
    (flag,) = Target().consider(people=150, crowd=1.0)
    assert (flag.reasons[1].value, flag.reasons[1].p) == (150.0, 0.1)


def test_a_verdict_closes_it_as_far_as_it_went() -> None:
    state, _ = explained(200)
    explanations = Explanations(lambda _, __: None, enabled=True, promotions=(), flags=flags())
    look = window(state, count=900, expected=40.0, number=1)
    explanations.end(look)
    assert [(flag.status, flag.observed) for flag in look.outcome.flags] == [("closed", 200)]
    assert state.explained is None
    explanations.end(look)
    assert len(look.outcome.flags) == 1
