"""Evidence of one kind: when it opens a case by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.features import names as f
from detectors.scoring.detector import Finding
from detectors.state.case import SUSPECT
from detectors.thresholds import DEFAULTS
from detectors.verdict.alone import alone_opinion, conduct_is_seen, overwhelming
from detectors.verdict.marked_share import EstimatedShare
from detectors.verdict.opinion import Opinion


def found(*, p: float = 1e-7, share: float = 0.97, beyond_all: bool = True, code: str = "fresh_accounts") -> Finding:
    detector = "accounts" if code != "few_networks" else "origin"
    return Finding(code, detector, share, 0.01, p, share, "new accounts", beyond_all)


def judged(surge: float = 3.0, *, count: float = 90.0, expected: float = 1.0, **more: Any) -> Opinion | None:
    options = {"case": None, "already": 0, "limits": DEFAULTS, "marked": EstimatedShare(0.0, 0.0), **more}
    finding = options.pop("finding", found())
    return alone_opinion({f.COUNT: count, f.EXPECTED: expected}, (surge, []), finding, **options)


def test_nearly_all_new_accounts_beyond_everything_seen_are_suspect_and_must_be_settled() -> None:
    view = judged()
    assert view is not None
    assert (view.verdict, view.settles, view.own_evidence) == (SUSPECT, True, True)
    assert 85 < view.artificial < 90


@pytest.mark.parametrize(
    "finding",
    [
        found(p=1e-3),
        found(share=0.2),
        found(beyond_all=False),
        found(code="unseen_accounts"),
        found(code="few_networks"),
    ],
    ids=["not rare", "a part", "seen before", "never seen", "one network"],
)
def test_other_evidence_does_not_count_alone(finding: Finding) -> None:
    assert overwhelming([finding], DEFAULTS) is None


def test_without_a_surge_one_in_ten_thousand_is_rare_enough_because_conduct_settles_it() -> None:
    view = judged(surge=0.0, finding=found(p=1e-4, share=0.4), expected=70.0)
    assert view is not None
    assert view.settles
    assert view.certain_artificial is None, "all marked events are quarantined"


@pytest.mark.parametrize("stricter", [{"surge_score": 6.0}, {"suspect_score": 6.0}])
@pytest.mark.parametrize(("surge", "p", "opens"), [(0.0, 1e-7, True), (2.9, 1e-4, False), (3.0, 1e-4, True)])
def test_higher_thresholds_ask_for_more_of_surge_and_evidence_together(
    stricter: Any, surge: float, p: float, opens: bool
) -> None:
    limits, evidence = replace(DEFAULTS, **stricter), found(p=p)
    assert overwhelming([evidence], limits) is evidence
    assert (judged(surge, finding=evidence, limits=limits) is not None) == opens


@given(st.floats(0.0, 40.0), st.floats(1e-30, 1e-4))
def test_with_the_default_thresholds_evidence_that_counts_alone_needs_no_surge(surge: float, p: float) -> None:
    evidence = found(p=p)
    assert overwhelming([evidence], DEFAULTS) is evidence
    assert judged(surge, finding=evidence) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"surge": 0.5, "finding": found(p=1e-3)},
        {"count": 5.0, "expected": 1.0},
        {"finding": found(share=0.6)},
        {"already": 84},
    ],
    ids=["weak together", "few", "others surge too", "taken out already"],
)
def test_no_case_is_opened(more: dict[str, Any]) -> None:
    assert judged(**more) is None


def test_followers_who_had_viewed_are_seen_conduct() -> None:
    assert conduct_is_seen({f.UNVIEWED: 0.3})
    assert not conduct_is_seen({f.UNVIEWED: 0.9})
