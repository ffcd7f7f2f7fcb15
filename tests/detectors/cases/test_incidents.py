"""The life of a case, window by window: when it is revised, when it is extended, and when it closes."""

from __future__ import annotations

import math
from typing import Any

import pytest

from detectors.cases.case_records import CaseRecords
from detectors.cases.closing_time import close_time
from detectors.cases.incidents import Incidents
from detectors.cases.settlements import Settlements
from detectors.events.key import Key
from detectors.measurement.expectation import spread
from detectors.measurement.window_view import WindowView
from detectors.records import Flag, Outcome
from detectors.scoring.detector import Finding
from detectors.state.case import ARTIFICIAL, SUSPECT, Step
from detectors.state.days import Day, Slow
from detectors.state.ledger import Ledger
from detectors.state.target_state import TargetState
from detectors.verdict.opinion import Opinion
from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY_MS, MINUTES_MS
from tests.detectors.judged_windows import DAY, KEY, SCALES, START_MS, TICK, flags, given_back, verdict, window


class Schedule:
    """Notes the calls of Incidents, in place of the audit."""

    def __init__(self) -> None:
        self.closings: list[int] = []
        self.changes = 0

    def changed(self, key: Key) -> None:
        assert key == KEY
        self.changes += 1

    def schedule_case(self, close_at_ms: int, key: Key) -> None:
        assert key == KEY
        self.closings.append(close_at_ms)


class Target:
    """A target of 10,000 valid views, whose windows expect ten events each."""

    def __init__(self) -> None:
        self.schedule = Schedule()
        records = CaseRecords(self.schedule, flags())
        self.settlements = Settlements(self.schedule, records, partition=0, settle_ms=2 * DAY_MS)
        self.incidents = Incidents(self.schedule, SCALES, records, self.settlements, given_back(records))
        self.state = TargetState(ledger=Ledger(valid=10_000))
        self.outcome = Outcome()

    def judge(
        self, artificial: float, *, number: int = 0, kind: str = ARTIFICIAL, view: Opinion | None = None, **more: Any
    ) -> WindowView:
        """Its ``number``-th window, with so many artificial events."""
        closed = window(self.state, number=number, **{"count": 500, "expected": 10.0, **more})
        closed.outcome = self.outcome
        self.incidents.act(closed, view or verdict(artificial, verdict=kind))
        return closed

    def expire(self, now_ms: int) -> None:
        """Its case, if it may close."""
        self.incidents.expire(KEY, self.state, now_ms, self.outcome)

    def is_open(self) -> bool:
        """Whether it has an open case."""
        return self.state.case is not None

    @property
    def flags(self) -> list[Flag]:
        """All revisions of its flags."""
        return self.outcome.flags


def closes_after(number: int) -> int:
    """When a case closes that was last seen in a window of five minutes."""
    return close_time(START_MS + (number + 1) * MINUTES_MS, MINUTES_MS)


def test_a_case_stays_open_for_two_windows_after_the_last_that_moved_anything() -> None:
    target = Target()
    target.judge(100, number=0)
    target.judge(100, number=1)
    assert target.state.case is not None
    assert target.state.case.close_at == closes_after(1)
    assert target.schedule.closings == [closes_after(0), closes_after(1)]


def test_a_window_in_which_nothing_is_taken_out_does_not_keep_a_case_open() -> None:
    target = Target()
    target.judge(100, number=0)
    target.judge(0, number=1)
    assert target.state.case is not None
    assert target.state.case.close_at == closes_after(0)
    assert target.schedule.closings == [closes_after(0)]


def test_a_case_that_takes_nothing_out_is_opened_all_the_same_and_closes_in_time() -> None:
    target = Target()
    target.judge(0, number=0)
    assert target.schedule.closings == [closes_after(0)]
    assert [flag.status for flag in target.flags] == ["opened"]


def test_an_older_window_does_not_bring_the_end_of_a_case_forward() -> None:
    target = Target()
    target.judge(100, number=3)
    target.judge(100, number=1)
    assert target.state.case is not None
    assert target.state.case.close_at == closes_after(3)
    assert target.schedule.closings == [closes_after(3)]


@pytest.mark.parametrize(("second", "statuses"), [(25, ["opened"]), (26, ["opened", "updated"])])
def test_a_flag_is_revised_when_its_artificial_part_has_grown_by_more_than_a_quarter(
    second: int, statuses: list[str]
) -> None:
    target = Target()
    target.judge(100, number=0)
    target.judge(second, number=1)
    assert [flag.status for flag in target.flags] == statuses
    assert target.flags[-1].artificial.value == (100 if len(statuses) == 1 else 126)


def test_growth_is_counted_from_the_last_revision() -> None:
    target = Target()
    for number, artificial in enumerate([100, 20, 20, 20]):
        target.judge(artificial, number=number)
    assert [flag.artificial.value for flag in target.flags] == [100, 140]


def test_a_suspect_that_becomes_artificial_is_flagged_again_and_does_not_turn_back() -> None:
    target = Target()
    target.judge(100, number=0, kind=SUSPECT)
    target.judge(1, number=1, kind=ARTIFICIAL)
    target.judge(1, number=2, kind=SUSPECT)
    assert [flag.verdict for flag in target.flags] == [SUSPECT, ARTIFICIAL]


def test_a_case_closes_at_its_time_and_not_before() -> None:
    target = Target()
    target.judge(100, number=0)
    target.expire(closes_after(0) - 1)
    assert target.is_open()
    target.expire(closes_after(0))
    assert not target.is_open()
    assert [flag.status for flag in target.flags] == ["opened", "closed"]


@pytest.mark.parametrize(("kind", "valid", "invalid"), [(ARTIFICIAL, 9_900, {"surge": 100}), (SUSPECT, 10_000, {})])
def test_what_an_artificial_case_holds_becomes_invalid_and_what_a_suspect_holds_is_given_back(
    kind: str, valid: int, invalid: dict[str, int]
) -> None:
    target = Target()
    target.judge(100, number=0, kind=kind)
    assert (target.state.ledger.valid, target.state.ledger.quarantined) == (9_900, 100)
    target.expire(closes_after(0))
    ledger = target.state.ledger
    assert (ledger.valid, ledger.quarantined, ledger.invalid) == (valid, 0, invalid)
    assert target.schedule.changes == 2


def test_after_a_case_the_target_starts_anew() -> None:
    target = Target()
    target.judge(100, number=0)
    target.state.cusum = 9.0
    target.state.trail = [Step(START_MS, 30, 10.0, 0, 0)]
    target.expire(closes_after(0))
    assert (target.state.cusum, target.state.trail) == (0.0, [])
    target.judge(100, number=9)
    assert len({flag.flag_id for flag in target.flags}) == 2


# ---------------------------------------------------------------- its figures


def test_a_flag_adds_up_its_windows_and_each_windows_events_are_counted_once() -> None:
    target = Target()
    seen = Crowd(start=START_MS)
    target.judge(100, count=200, crowd=seen, early_at_ms=START_MS + 60_000)
    target.judge(300, count=500, crowd=seen)
    target.judge(100, number=1, count=110)
    target.expire(closes_after(1))
    last, half = target.flags[-1], spread(10.0, 50.0)
    assert (last.observed, last.artificial.value) == (610, 400)
    expected = last.expected
    assert (expected.value, expected.low, expected.high) == (20, round(20 - 2 * half), round(20 + 2 * half))
    assert seen.quarantined == 300


def test_what_is_uncertain_of_a_share_is_not_taken_out() -> None:
    target = Target()
    view = Opinion(ARTIFICIAL, 20.0, 6.0, [], 100.0, 80.0, 120.0, own_evidence=True, certain_artificial=50.0)
    target.judge(0, view=view)
    assert target.state.ledger.quarantined == 50
    (flag,) = target.flags
    assert (flag.artificial.low, flag.artificial.value, flag.artificial.high) == (40, 50, 60)


def test_an_interval_holds_the_value_whatever_the_windows_say() -> None:
    target = Target()
    target.judge(0, view=Opinion(ARTIFICIAL, 20.0, 6.0, [], 100.0, 120.0, 90.0, own_evidence=True))
    (flag,) = target.flags
    assert (flag.artificial.low, flag.artificial.value, flag.artificial.high) == (100, 100, 100)


def test_a_correction_names_the_window_and_the_flag_that_it_is_of() -> None:
    target = Target()
    target.judge(100)
    target.expire(closes_after(0))
    out, final = target.outcome.corrections
    assert (out.from_, out.to, out.count, out.target, out.metric) == ("valid", "quarantined", 100, "v", "view")
    assert out.window == {"start": START_MS, "end": START_MS + MINUTES_MS}
    assert (final.from_, final.to, final.count) == ("quarantined", "surge", 100)
    assert out.flag_id == final.flag_id == target.flags[0].flag_id
    assert out.correction_id != final.correction_id


def test_the_surest_crowd_gives_the_reasons_and_the_strongest_surge_and_crowd_the_score() -> None:
    target = Target()
    for number, (surge, crowd, code) in enumerate(
        [(5.0, 4.0, "few_networks"), (9.0, 3.0, "odd_watch_time"), (2.0, 4.0, "fresh_accounts")]
    ):
        found = [Finding(code, "accounts", 0.9, 0.1, 1e-4, 0.9, "a sentence")]
        target.judge(
            0, number=number, view=Opinion(ARTIFICIAL, surge, crowd, found, 200.0, 200.0, 200.0, own_evidence=True)
        )
    case = target.state.case
    assert case is not None
    assert (case.surge, case.crowd, case.reason) == (9.0, 4.0, "fresh_accounts")
    assert [reason.code for reason in target.flags[-1].reasons] == ["fresh_accounts"]
    assert target.flags[-1].score == round(100 * (1 - math.exp(-(9.0 + 4.0) / 4)))


def test_a_case_remembers_from_where_to_where_in_the_log_its_events_are() -> None:
    target = Target()
    target.judge(100, crowd=Crowd(start=START_MS, log_from=7, log_to=9))
    target.judge(100, number=1, crowd=Crowd(start=START_MS + MINUTES_MS, log_from=9, log_to=12))
    assert target.flags[-1].log == {"partition": 0, "from": 7, "to": 12}
    assert (target.flags[-1].onset, target.flags[-1].until) == (START_MS, START_MS + 2 * MINUTES_MS)


# ---------------------------------------------------------------- what came before it


def bursting(*, artificial: float = 20.0, quarantined: int = 0) -> Target:
    """A target whose surge is judged in its third tick: half of what exceeds the expectation is artificial."""
    target = Target()
    target.state.trail = [
        Step(START_MS, 30, 10.0, quarantined, 5),
        Step(START_MS + 10_000, 9, 10.0, 0, 6),
        Step(START_MS + 20_000, 50, 10.0, 0, 7),
    ]
    target.state.open["minutes"] = Crowd(start=START_MS, n=89)
    target.judge(artificial, number=2, scale=TICK, count=50)
    return target


def test_the_ticks_of_a_surge_before_its_case_are_taken_back_at_the_same_purity() -> None:
    target = bursting()
    assert [(c.window["start"], c.count) for c in target.outcome.corrections] == [
        (START_MS, 10),
        (START_MS + 20_000, 20),
    ]
    assert target.outcome.corrections[0].window["end"] == START_MS + 10_000
    assert [step.quarantined for step in target.state.trail] == [10, 0, 20]
    (flag,) = target.flags
    assert (flag.onset, flag.log["from"]) == (START_MS, 5)
    assert (flag.observed, flag.artificial.value) == (89, 30)
    assert (flag.artificial.low, flag.artificial.high) == (9 + 20, 11 + 20)


def test_a_longer_window_that_is_open_holds_what_was_taken_back() -> None:
    minutes = bursting().state.open["minutes"]
    assert (minutes.quarantined, minutes.cased) == (10, 39)


def test_what_a_tick_had_in_quarantine_is_not_taken_twice() -> None:
    assert [c.count for c in bursting(quarantined=4).outcome.corrections] == [6, 20]
    assert [c.count for c in bursting(quarantined=12).outcome.corrections] == [20]


def test_what_was_expected_of_those_ticks_is_part_of_the_flag() -> None:
    (flag,) = bursting().flags
    before, now = spread(10.0, 1.0), spread(10.0, 50.0)
    assert flag.expected.value == 30
    assert flag.expected.low == round(2 * max(0.0, 10 - before) + 10 - now)
    assert flag.expected.high == round(2 * (10 + before) + 10 + now)
    assert [(p.start, p.observed) for p in flag.series] == [
        (START_MS, 30),
        (START_MS + 10_000, 9),
        (START_MS + 20_000, 50),
    ]


def test_a_case_that_begins_in_a_longer_window_takes_no_ticks_back() -> None:
    target = Target()
    target.state.trail = [Step(START_MS - 10_000, 30, 10.0, 0, 5), Step(START_MS, 50, 10.0, 0, 7)]
    target.judge(20)
    assert [c.count for c in target.outcome.corrections] == [20]
    assert target.flags[0].onset == START_MS


# ---------------------------------------------------------------- days


def dripping(*, told: bool = False) -> Target:
    """A target on whose third day the days convict together: of the first two of 50 events, 20 were artificial."""
    target = Target()
    days = [
        Day(START_MS - n * DAY_MS, 50, 9.0, n != 3, 20.0, 15.0, 25.0, 100 - n, quarantined=5 * (n == 1))
        for n in (3, 2, 1, 0)
    ]
    target.state.slow = Slow(days=days, joint=9.0, past_cased=told)
    closed = window(target.state, count=50, expected=30.0, scale=DAY)
    closed.outcome = target.outcome
    convicted = verdict(20)
    convicted.beside_drip = 30.0
    target.incidents.act(closed, convicted)
    return target


def test_a_drip_is_taken_back_to_its_first_wrong_day_less_what_is_out_already() -> None:
    target = dripping()
    assert [(c.window["start"], c.count) for c in target.outcome.corrections] == [
        (START_MS - 2 * DAY_MS, 20),
        (START_MS - DAY_MS, 15),
        (START_MS, 20),
    ]
    assert all(c.window["end"] == c.window["start"] + DAY_MS for c in target.outcome.corrections)
    (flag,) = target.flags
    assert (flag.onset, flag.log["from"]) == (START_MS - 2 * DAY_MS, 98)
    assert (flag.observed, flag.artificial.value, flag.expected.value) == (150, 55, 90)
    assert flag.artificial.low == round(15 + 15 * 15 / 20 + 20)
    assert flag.artificial.high == round(25 + 25 * 15 / 20 + 20)
    half = spread(30.0, 50.0)
    assert (flag.expected.low, flag.expected.high) == (round(54 + 30 - half), round(66 + 30 + half))
    assert [(p.start, p.observed, p.expected) for p in flag.series][:2] == [
        (START_MS - 2 * DAY_MS, 50, 30.0),
        (START_MS - DAY_MS, 50, 30.0),
    ]


def test_it_is_taken_back_once() -> None:
    target = dripping(told=True)
    assert [c.count for c in target.outcome.corrections] == [20]


def test_while_a_drip_is_not_decided_its_case_stays_open_for_two_days() -> None:
    target = dripping()
    assert target.schedule.closings == [close_time(START_MS + DAY_MS, DAY_MS)]
    target.judge(300, number=300)
    assert target.schedule.closings[-1] == close_time(START_MS + 301 * MINUTES_MS, DAY_MS)
