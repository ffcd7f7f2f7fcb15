"""The bounds of a verdict, each with a window on both sides, and how many events a verdict speaks of."""

from __future__ import annotations

import math

import pytest

from detectors.features import names as f
from detectors.scoring.detector import Finding
from detectors.state.case import ARTIFICIAL, SUSPECT, Case
from detectors.thresholds import DEFAULTS, Thresholds
from detectors.verdict.marked_share import EstimatedShare, share_beyond
from detectors.verdict.opinion import (
    NO_SHARE,
    Opinion,
    about_several_events,
    min_excess_events,
    opinion,
    required_excess_events,
)


def finding(share: float, p: float = 1e-6, code: str = "fresh_accounts") -> Finding:
    return Finding(code, "accounts", share, 0.0, p, share, "new accounts")


def judged(
    *shares: float,
    count: float = 600,
    expected: float = 10,
    surge: float = 20,
    crowd: float = 6,
    p: float = 1e-6,
    case: Case | None = None,
    already: int = 0,
    marked: EstimatedShare = NO_SHARE,
) -> Opinion:
    x = {f.COUNT: count, f.EXPECTED: expected, f.DISPERSION: 5.0}
    findings = [finding(share, p) for share in shares]
    return opinion(x, (surge, crowd), ([], findings), case=case, already=already, marked=marked)


def case_of(verdict: str) -> Case:
    return Case("id", 0, 0, 0, verdict, "fresh_accounts")


@pytest.mark.parametrize(
    ("surge", "crowd", "verdict"),
    [
        (0.99, 9.0, None),
        (1.0, 5.0, ARTIFICIAL),
        (1.0, 4.99, None),
        (3.01, 2.99, None),
        (3.0, 3.0, SUSPECT),
        (20.0, 3.99, SUSPECT),
        (20.0, 4.0, ARTIFICIAL),
    ],
)
def test_a_verdict_needs_some_of_both_and_enough_together(surge: float, crowd: float, verdict: str | None) -> None:
    assert judged(0.8, surge=surge, crowd=crowd).verdict == verdict


@pytest.mark.parametrize(("share", "verdict"), [(0.299, None), (0.3, ARTIFICIAL)])
def test_enough_of_the_crowd_must_be_wrong(share: float, verdict: str | None) -> None:
    assert judged(share).verdict == verdict


@pytest.mark.parametrize(
    ("marked", "verdict"), [(EstimatedShare(0.359, 0.03), None), (EstimatedShare(0.361, 0.03), ARTIFICIAL)]
)
def test_or_enough_of_it_must_have_any_of_the_marks_within_two_standard_errors(
    marked: EstimatedShare, verdict: str | None
) -> None:
    assert judged(0.25, marked=marked).verdict == verdict


def test_the_marks_alone_open_nothing_and_those_of_an_open_case_are_no_evidence_of_a_windows_own() -> None:
    some = EstimatedShare(0.9, 0.01)
    assert judged(0.25, crowd=2.99, marked=some).verdict is None
    assert not judged(0.25, case=case_of(SUSPECT), marked=some).own_evidence


@pytest.mark.parametrize(("p", "verdict"), [(0.0101, None), (0.01, ARTIFICIAL)])
def test_evidence_counts_from_one_window_in_a_hundred(p: float, verdict: str | None) -> None:
    assert judged(0.8, p=p).verdict == verdict


@pytest.mark.parametrize(("count", "verdict"), [(34, None), (35, ARTIFICIAL)])
def test_what_a_shorter_window_has_left_must_be_a_quarter_of_what_it_took(count: int, verdict: str | None) -> None:
    """Of a crowd that is wrong as a whole 20 events are out of the count already, and five more would be a verdict."""
    told = share_beyond(1.0, 0.0, count)
    assert judged(1.0, count=count, expected=10, already=20).verdict == verdict
    assert round(min(count - 10, (1.0 - told.standard_error) * count) - 20) == (5 if verdict else 4)


def test_a_window_of_an_open_case_needs_the_excess_and_no_more() -> None:
    assert judged(0.8, count=20, expected=10, crowd=3.5, already=9, case=case_of(SUSPECT)).own_evidence
    assert not judged(0.8, count=19, expected=10, crowd=3.5, already=9, case=case_of(SUSPECT)).own_evidence


@pytest.mark.parametrize(
    ("marked", "verdict"), [(EstimatedShare(0.1, 0.05), None), (EstimatedShare(0.101, 0.05), SUSPECT)]
)
def test_a_case_goes_on_with_more_of_its_marks_than_two_standard_errors(
    marked: EstimatedShare, verdict: str | None
) -> None:
    view = judged(surge=0.5, crowd=0.5, case=case_of(SUSPECT), marked=marked)
    assert (view.verdict, view.own_evidence) == (verdict, False)


def test_a_case_does_not_go_on_where_nothing_is_beyond_the_expectation() -> None:
    some = EstimatedShare(0.5, 0.01)
    assert judged(count=10, expected=10, case=case_of(ARTIFICIAL), marked=some).verdict is None
    assert judged(count=11, expected=10, case=case_of(ARTIFICIAL), marked=some).verdict == ARTIFICIAL


def test_the_interval_is_of_a_binomial_share_and_a_poisson_expectation() -> None:
    view = judged(0.8)
    noise = 1.96 * math.sqrt(480 * 0.2 + 10)
    assert (view.artificial, view.low, view.high) == pytest.approx((480, 480 - noise, 480 + noise))
    assert view.certain_artificial == pytest.approx(600 * (0.8 - share_beyond(0.8, 0.0, 600).standard_error))


def test_the_least_is_that_of_the_weakest_evidence_that_would_convict_by_itself() -> None:
    noise = 1.96 * math.sqrt(480 * 0.2 + 10)
    assert judged(0.8, 0.3, 0.29).low == pytest.approx(180 - noise)
    assert judged(0.8, 0.29).low == pytest.approx(480 - noise)


def test_no_more_is_artificial_than_came_beyond_the_expectation_and_the_most_is_all() -> None:
    view = judged(1.0, count=40, expected=30)
    assert (view.artificial, view.low, view.high) == pytest.approx((10, 0, 10 + 1.96 * math.sqrt(10 * 0.75 + 30)))
    assert view.certain_artificial == 10
    assert judged(1.0, count=600, expected=1).high == 600


def test_by_its_own_evidence_the_larger_estimate_counts_and_by_a_cases_that_of_its_marks() -> None:
    assert judged(0.8, marked=EstimatedShare(0.9, 0.0)).artificial == pytest.approx(540)
    assert judged(0.8, marked=EstimatedShare(0.5, 0.0)).artificial == pytest.approx(480)
    case = case_of(ARTIFICIAL)
    assert judged(0.8, surge=0.5, case=case, marked=EstimatedShare(0.5, 0.0)).artificial == pytest.approx(300)


def test_what_the_marks_leave_uncertain_is_never_less_than_nothing() -> None:
    view = judged(0.3, count=100, expected=1, crowd=6, marked=EstimatedShare(0.4, 0.5))
    assert view.verdict == ARTIFICIAL
    assert view.certain_artificial == 0.0


@pytest.mark.parametrize(("share", "kept"), [(0.149, 0), (0.15, 1)])
def test_evidence_is_of_more_than_one_event(share: float, kept: int) -> None:
    assert len(about_several_events([finding(share)], 10.0)) == kept


@pytest.mark.parametrize(
    ("crowd", "share", "events"), [(4.0, 0.5, 10), (3.99, 0.5, 20), (4.0, 0.49, 20)], ids=["rare", "odd", "a part"]
)
def test_half_as_many_are_enough_of_a_rare_crowd_of_which_most_is_wrong(
    crowd: float, share: float, events: int
) -> None:
    assert required_excess_events(Thresholds(excess_events=20), crowd=crowd, share=share) == events


def test_under_five_events_no_crowd_is_judged() -> None:
    assert [min_excess_events(Thresholds(excess_events=events)) for events in (4, 10, 12)] == [5, 5, 6]
    assert min_excess_events(DEFAULTS) == 5


@pytest.mark.parametrize(("left", "verdict"), [(49, None), (50, ARTIFICIAL)])
def test_of_a_crowd_of_which_much_is_out_already_a_quarter_more_is_needed(left: int, verdict: str | None) -> None:
    assert judged(1.0, count=210 + left, expected=10, already=200, p=1e-6).verdict == verdict


@pytest.mark.parametrize(("count", "verdict"), [(14, None), (15, ARTIFICIAL)])
def test_a_crowd_of_which_nothing_is_out_needs_the_least_excess(count: int, verdict: str | None) -> None:
    assert judged(0.99, count=count, expected=10).verdict == verdict
