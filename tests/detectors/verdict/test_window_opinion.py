"""Opinion on a window by its own evidence: what a window that began before its case adds to the case."""

from __future__ import annotations

import pytest

from detectors.catalog.registry import ACCOUNTS, WATCH
from detectors.measurement.window_view import WindowView
from detectors.scoring.detector import Finding
from detectors.state.case import ARTIFICIAL, Case
from detectors.state.target_state import TargetState
from detectors.thresholds import Thresholds
from detectors.verdict.evidence import NO_MODELS, WindowEvidence
from detectors.verdict.opinion import Opinion
from detectors.verdict.window_opinion import limit_to_case
from tests.detectors.judged_windows import HOUR, START_MS, verdict, window

NO_FINDINGS: list[Finding] = []


def hour(*, onset_minutes: int, cased: int, count: int = 300) -> WindowView:
    """An hour of ``count`` events, with a case that began in it and has judged ``cased`` of them."""
    onset = START_MS + onset_minutes * 60_000
    case = Case(
        flag_id="f", onset=onset, until=onset, close_at=0, verdict=ARTIFICIAL, reason="surge", log_from=0, settles=False
    )
    view = window(TargetState(case=case), count=count, expected=1.0, scale=HOUR)
    view.crowd.cased = cased
    return view


def limited(view: WindowView, *, leaving: float, new: float = 0.9, artificial: float = 270.0) -> Opinion:
    found = WindowEvidence({ACCOUNTS: (6.0, new), WATCH: (6.0, leaving)}, (0.0, 0.0), NO_FINDINGS, view.x)
    own = verdict(artificial)
    own.certain_artificial = artificial - 5.0
    return limit_to_case(view, own, found, NO_MODELS, Thresholds())


def test_the_honest_events_before_a_case_are_not_taken_with_the_bots_that_came_later() -> None:
    opinion = limited(hour(onset_minutes=55, cased=90), leaving=0.3)
    assert opinion.of_case_only
    assert opinion.artificial == opinion.certain_artificial == opinion.high == 90.0
    assert opinion.low <= 90.0


def test_they_are_taken_if_they_would_be_convicted_by_themselves() -> None:
    opinion = limited(hour(onset_minutes=55, cased=90), leaving=0.9)
    assert not opinion.of_case_only
    assert opinion.artificial == 270.0


@pytest.mark.parametrize(("onset_minutes", "cased"), [(0, 90), (55, 0), (55, 300)])
def test_a_window_of_which_the_case_has_all_or_nothing_is_judged_as_a_whole(onset_minutes: int, cased: int) -> None:
    assert not limited(hour(onset_minutes=onset_minutes, cased=cased), leaving=0.3).of_case_only
