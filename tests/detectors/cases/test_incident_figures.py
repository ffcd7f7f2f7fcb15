"""What the figures of a case count once: windows that are in it in part, days it has seen, and open windows."""

from __future__ import annotations

import math

import pytest

from detectors.cases.case_records import CaseRecords
from detectors.cases.incidents import Incidents
from detectors.cases.settlements import Settlements
from detectors.events.key import Key
from detectors.records import Outcome
from detectors.state.case import ARTIFICIAL, Case
from detectors.state.course import Point
from detectors.state.days import Day, Slow
from detectors.state.ledger import Ledger
from detectors.state.target_state import TargetState
from detectors.verdict.opinion import Opinion
from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY_MS, MINUTES_MS, Scale
from tests.detectors.judged_windows import DAY, MINUTES, SCALES, START_MS, flags, given_back, verdict, window


class Unscheduled:
    """In place of the audit: closings and counts are of no interest here."""

    def changed(self, key: Key) -> None:
        pass

    def schedule_case(self, close_at_ms: int, key: Key) -> None:
        pass


class Target:
    """A target of 10,000 valid views whose windows are judged."""

    def __init__(self, *days: Day) -> None:
        self.state = TargetState(ledger=Ledger(valid=10_000))
        if days:
            self.state.slow = Slow(days=list(days), joint=9.0)
        self.outcome = Outcome()
        records = CaseRecords(Unscheduled(), flags())
        settlements = Settlements(Unscheduled(), records, partition=0, settle_ms=0)
        self._incidents = Incidents(Unscheduled(), SCALES, records, settlements, given_back(records))

    def judge(
        self,
        view: Opinion,
        *,
        number: int = 0,
        count: int = 50,
        expected: float = 10.0,
        crowd: Crowd | None = None,
        scale: Scale = MINUTES,
        early_at_ms: int = -1,
        drips: bool = False,
    ) -> Case:
        """Its case, after one more window."""
        closed = window(
            self.state, number=number, count=count, expected=expected, crowd=crowd, scale=scale, early_at_ms=early_at_ms
        )
        closed.outcome = self.outcome
        if drips:
            view.beside_drip = expected
        self._incidents.act(closed, view)
        assert self.state.case is not None
        return self.state.case


def day(number: int, *, artificial: float = 20.0, low: float = 15.0, high: float = 25.0, cased: int = 0) -> Day:
    """So many days before START_MS, of 50 events."""
    return Day(START_MS - number * DAY_MS, 50, 9.0, True, artificial, low, high, 0, cased=cased)


@pytest.mark.parametrize(
    ("cased", "count", "rest", "expected"), [(0, 90, 90, 60.0), (30, 80, 50, 37.5), (80, 80, 0, 0.0)]
)
def test_of_a_window_that_is_in_the_case_in_part_only_the_rest_is_added(
    cased: int, count: int, rest: int, expected: float
) -> None:
    target = Target()
    before = target.judge(verdict(20), number=0)
    seen, low = before.observed, before.low
    crowd = Crowd(start=START_MS + MINUTES_MS, cased=cased)
    case = target.judge(verdict(20), number=1, count=count, expected=60.0, crowd=crowd)
    assert case.observed - seen == rest
    assert case.expected - 10.0 == pytest.approx(expected)
    assert (case.low > low) == (rest > 0)
    assert (crowd.cased, crowd.expected_cased) == (count, True)


def test_a_window_that_is_judged_again_is_expected_once() -> None:
    target, crowd = Target(), Crowd(start=START_MS)
    target.judge(verdict(20), count=30, crowd=crowd, early_at_ms=START_MS + 60_000)
    case = target.judge(verdict(30), count=50, crowd=crowd)
    assert (case.observed, case.expected) == (50, 10.0)


def test_of_an_open_window_the_course_has_the_part_that_has_passed() -> None:
    case = Target().judge(verdict(20), count=30, early_at_ms=START_MS + 60_000)
    assert case.series == [Point(START_MS, 60_000, 30, 2.0)]


def test_a_day_that_the_case_has_seen_in_part_is_added_for_the_rest() -> None:
    """Its case was opened in the first minutes of yesterday, and has seen 30 of the 50 events of that day."""
    target = Target(day(2, cased=40), day(1, cased=30), day(0))
    case = target.judge(verdict(10), number=-DAY_MS // MINUTES_MS, count=40)
    assert (case.onset, case.observed, case.expected) == (START_MS - DAY_MS, 40, 10.0)
    target.judge(verdict(20), scale=DAY, expected=30.0, drips=True)
    assert case.onset == START_MS - 2 * DAY_MS
    assert case.observed == 40 + 50 + 20 + 50
    assert case.expected == pytest.approx(10.0 + 30.0 + (1 - 30 / 50) * 30.0 + 30.0)


def test_a_case_that_a_day_opens_has_seen_nothing_of_the_days_before() -> None:
    case = Target(day(1, cased=30), day(0)).judge(verdict(20), scale=DAY, expected=30.0, drips=True)
    assert (case.observed, case.expected) == (100, 60.0)


@pytest.mark.parametrize(("artificial", "moved", "low", "high"), [(1.4, 1, 1 / 1.4, 2 / 1.4), (0.6, 1, 1.0, 2.0)])
def test_the_interval_of_a_day_shrinks_with_what_is_moved_of_it(
    artificial: float, moved: int, low: float, high: float
) -> None:
    target = Target(day(1, artificial=artificial, low=1.0, high=2.0), day(0))
    case = target.judge(verdict(20), scale=DAY, drips=True)
    assert case.artificial == 20 + moved
    assert (case.artificial_low - 20, case.artificial_high - 20) == pytest.approx((low, high))


def test_the_interval_of_a_window_shrinks_with_what_is_moved_of_it() -> None:
    for artificial, of in ((1.4, 1.4), (0.6, 1.0)):
        view = Opinion(ARTIFICIAL, 20.0, 6.0, [], artificial, 1.0, 2.0, own_evidence=True)
        case = Target().judge(view)
        assert case.artificial == 1
        assert (case.artificial_low, case.artificial_high) == pytest.approx((1 / of, 2 / of))


def test_the_score_of_a_weak_surge_is_its_own() -> None:
    target = Target()
    target.judge(Opinion(ARTIFICIAL, 0.4, 0.2, [], 20.0, 20.0, 20.0, own_evidence=True))
    (flag,) = target.outcome.flags
    assert flag.score == round(100 * (1 - math.exp(-0.6 / 4)))


@pytest.mark.parametrize(("quarantined", "moved"), [(19, 1), (20, 0), (25, 0)])
def test_of_a_day_no_more_is_moved_than_is_not_out_already(quarantined: int, moved: int) -> None:
    before = day(1)
    before.quarantined = quarantined
    assert Target(before, day(0)).judge(verdict(20), scale=DAY, drips=True).artificial == 20 + moved
    assert before.quarantined == quarantined + moved


def test_a_case_of_the_first_record_of_a_log_begins_and_ends_there() -> None:
    target = Target()
    target.judge(verdict(20), crowd=Crowd(start=START_MS, log_from=0, log_to=0))
    assert target.outcome.flags[0].log == {"partition": 0, "from": 0, "to": 0}
