"""Evidence of one kind: when it opens a case by itself."""

from __future__ import annotations

from typing import Any

import pytest

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
