"""Score and share of a kind of evidence that several detectors found, or none."""

from __future__ import annotations

import pytest

from detectors.features import names as f
from detectors.verdict.evidence import OWN_HOW, OWN_WHO, RENTED, CrowdEvidence

FOUND = {"accounts": (3.0, 0.2), "watch": (5.0, 0.1), "near": (1.0, 0.6), "far": (4.0, 0.3)}


def evidence(**x: float) -> CrowdEvidence:
    return CrowdEvidence(x, FOUND, (2.0, 0.4), (("near", "far"), ("absent",)))


def test_the_highest_score_counts_of_those_that_apply_to_enough_of_the_crowd() -> None:
    assert evidence().score("accounts", "watch") == 3.0
    assert evidence().score("accounts", "watch", least_share=0.1) == 5.0
    assert evidence().score("accounts", OWN_WHO) == 4.0
    assert evidence().score("accounts", OWN_WHO, least_share=0.3) == 4.0
    assert evidence().score("accounts", OWN_WHO, least_share=0.31) == 1.0
    assert evidence().score(RENTED) == 2.0


def test_the_largest_share_counts_whatever_its_score() -> None:
    assert evidence().share("accounts", "watch") == 0.2
    assert evidence().share("watch", OWN_WHO) == 0.6
    assert evidence().share(RENTED) == 0.4


@pytest.mark.parametrize("kinds", [(), ("engagement",), (OWN_HOW,), ("engagement", OWN_HOW)])
def test_what_nobody_speaks_of_has_no_score_and_no_share(kinds: tuple[str, ...]) -> None:
    assert (evidence().score(*kinds), evidence().share(*kinds)) == (0.0, 0.0)


@pytest.mark.parametrize(("judgings", "least"), [(0.0, 2.0), (4.0, 2.0), (5.0, 2.097), (8.0, 2.301), (40.0, 3.0)])
def test_from_the_fifth_judging_of_a_surge_on_each_makes_evidence_dearer(judgings: float, least: float) -> None:
    assert evidence(**{f.TIMES_JUDGED: judgings}).least_score == pytest.approx(least, abs=1e-3)
    assert evidence().least_score == 2.0
