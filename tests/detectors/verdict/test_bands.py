"""A band convicts without a surge: when, how surely, and of how many events."""

from __future__ import annotations

import math

import pytest

from detectors.features import names as f
from detectors.state.case import ARTIFICIAL, SUSPECT, Case
from detectors.thresholds import DEFAULTS
from detectors.verdict.bands import band_opinion
from detectors.verdict.opinion import Opinion


def judged(
    *,
    count: float = 20,
    expected: float = 10,
    share: float = 0.4,
    score: float = 9,
    known: float = 1.0,
    already: int = 0,
    case: str | None = None,
) -> Opinion | None:
    x = {f.COUNT: count, f.EXPECTED: expected, f.BAND: share, f.BAND_SCORE: score, f.BAND_KNOWN: known}
    opened = None if case is None else Case("id", 0, 0, 0, case, "lockstep")
    return band_opinion(x, 0.5, case=opened, already=already, limits=DEFAULTS)


def verdict_of(view: Opinion | None) -> str | None:
    return None if view is None else view.verdict


@pytest.mark.parametrize(("score", "verdict"), [(3.99, None), (4.0, SUSPECT), (5.99, SUSPECT), (6.0, ARTIFICIAL)])
def test_a_band_must_be_rarer_than_another_crowd(score: float, verdict: str | None) -> None:
    assert verdict_of(judged(score=score)) == verdict


def test_where_owners_or_networks_are_not_given_it_is_a_suspect_at_most() -> None:
    assert verdict_of(judged(known=0.0)) == SUSPECT
    assert verdict_of(judged(known=0.0, case=SUSPECT)) == SUSPECT
    assert verdict_of(judged(known=0.0, case=ARTIFICIAL)) == ARTIFICIAL


@pytest.mark.parametrize(("share", "convicts"), [(0.299, False), (0.3, True)])
def test_it_must_be_enough_of_the_crowd(share: float, convicts: bool) -> None:
    assert (judged(share=share) is not None) == convicts


@pytest.mark.parametrize(("already", "convicts"), [(6, False), (5, True)])
def test_three_events_must_be_left_to_correct(already: int, convicts: bool) -> None:
    assert (judged(share=0.4, already=already) is not None) == convicts


def test_it_speaks_of_its_own_events_as_far_as_they_exceed_the_expectation() -> None:
    view = judged(count=100, expected=10, share=0.4)
    assert view is not None
    noise = 1.96 * math.sqrt(10)
    assert (view.artificial, view.low, view.high) == pytest.approx((40, 40 - noise, 40))
    assert (view.surge, view.crowd, view.own_evidence) == (0.5, 9, True)
    few = judged(count=20, expected=14, share=0.6)
    assert few is not None
    assert (few.artificial, few.low, few.high) == pytest.approx((6, 0, 12))
