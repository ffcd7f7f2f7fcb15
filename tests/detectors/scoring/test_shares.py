"""P-values of shares of few people: exact, and never smaller than chance alone allows."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom, nbinom, poisson  # type: ignore[import-untyped]  # without types

from detectors.catalog.accounts import Accounts
from detectors.catalog.engagement import Engagement
from detectors.features import names as f
from detectors.scoring import shares
from detectors.scoring.calibration import HISTORY_MIN
from detectors.scoring.detector import score_of
from detectors.scoring.sentences import habit, usual
from detectors.scoring.tails import (
    CORRELATION,
    beta_binomial_tail,
    binomial_tail,
    chernoff_bound,
    gamma_poisson_lower_tail,
    poisson_lower_tail,
)

SIZES = st.integers(5, 7)
SHARES = st.floats(0.01, 0.9)


@given(SIZES, SHARES, st.data())
def test_it_is_the_tail_of_the_beta_binomial(size: int, usual: float, data: st.DataObject) -> None:
    marked = data.draw(st.integers(0, size))
    alpha, beta = (share * (1.0 - CORRELATION) / CORRELATION for share in (usual, 1.0 - usual))
    expected = betabinom.sf(marked - 1, size, alpha, beta)
    assert math.isclose(beta_binomial_tail(size, marked / size, usual), expected, rel_tol=1e-6)


@given(SIZES, SHARES, st.floats(0, 1), st.floats(0, 1))
def test_more_who_have_it_are_never_likelier(size: int, usual: float, some: float, others: float) -> None:
    assert (
        beta_binomial_tail(size, max(some, others), usual) <= beta_binomial_tail(size, min(some, others), usual) <= 1.0
    )


@pytest.mark.parametrize("size", [5, 6, 7])
def test_a_few_people_alone_never_reach_what_independent_people_would(size: int) -> None:
    assert beta_binomial_tail(size, 1.0, 0.1) > 10 * 0.1**size
    assert beta_binomial_tail(size, 1.0, 0.1) < 0.01
    assert beta_binomial_tail(size, 1.0, 0.5) > 0.01


@given(st.floats(0.5, 400), st.integers(0, 500))
def test_likes_that_are_missing_are_as_rare_as_poissons(expected: float, came: int) -> None:
    exact = 1.0 if came >= expected else poisson.cdf(came, expected)
    assert math.isclose(poisson_lower_tail(expected, came), exact, rel_tol=1e-6, abs_tol=1e-300)


@given(st.floats(0.5, 400), st.integers(0, 500), st.floats(0.5, 50))
def test_likes_that_are_missing_on_targets_that_differ_are_as_rare_as_negative_binomials(
    expected: float, came: int, shape: float
) -> None:
    exact = 1.0 if came >= expected else nbinom.cdf(came, shape, shape / (shape + expected))
    assert math.isclose(gamma_poisson_lower_tail(expected, came, shape), exact, rel_tol=1e-6, abs_tol=1e-300)


@given(st.integers(8, 1000), st.integers(1, 57), st.data())
def test_people_who_have_a_mark_are_as_rare_as_binomials(people: int, of_64: int, data: st.DataObject) -> None:
    who, usual = data.draw(st.integers(0, people)), of_64 / 64
    ways = sum(math.comb(people, k) * of_64**k * (64 - of_64) ** (people - k) for k in range(who, people + 1))
    exact = 1.0 if who <= usual * people else float(Fraction(ways, 64**people))  # scipy's is off by 1e-6 at 1e-279
    assert math.isclose(binomial_tail(people, who / people, usual), exact, rel_tol=1e-6, abs_tol=1e-290)


def test_history_does_not_make_four_missing_likes_rarer_than_chance_does() -> None:
    detector = Engagement()
    for _ in range(2000):
        detector.learn_one({f.PEOPLE: 80.0, f.SILENT: 0.1, f.INTERACTIONS: 40.0})
    x = {f.PEOPLE: 80.0, f.SILENT: 1.0}
    assert detector.score_one({**x, f.INTERACTIONS: 4.0}) < 2.0
    assert detector.score_one({**x, f.INTERACTIONS: 40.0}) > 3.0


def no_likes(expected: float, *, own: float, shape: float) -> dict[str, float]:
    """A hit of which nobody likes anything, on a target with this own rate."""
    people = 30.0 * expected
    x = {f.COUNT: people, f.PEOPLE: people, f.SILENT: 1.0}
    return x | {f.INTERACTIONS: expected, f.OWN_INTERACTIONS: own, f.INTERACTION_SHAPE: shape}


def test_missing_likes_are_no_evidence_where_targets_differ_and_the_own_rate_is_not_known() -> None:
    detector = Engagement()
    assert detector.score_one(no_likes(7.0, own=7.0, shape=1.5)) < 1.5
    assert detector.score_one(no_likes(7.0, own=7.0, shape=1e6)) > 2.5


def test_they_are_evidence_where_the_own_rate_is_known_and_as_usual() -> None:
    assert Engagement().score_one(no_likes(7.0, own=7.0, shape=1.5 + 60.0)) > 2.5


def test_they_are_none_on_a_target_that_is_known_to_be_hardly_liked() -> None:
    assert Engagement().score_one(no_likes(40.0, own=1.0, shape=1.5 + 2.0)) < 1.0


# ---------------------------------------------------------------- shares as findings

CROWD = {f.COUNT: 100.0, f.PEOPLE: 100.0}


def accounts(*values: float) -> Accounts:
    """A detector of accounts that has learned windows in which so many were new."""
    detector = Accounts()
    for value in values:
        detector.learn_one({**CROWD, f.FRESH: value})
    return detector


def baseline_of(detector: Accounts, **of: float) -> float:
    (finding,) = detector.findings({**CROWD, f.FRESH: 0.95, **of})
    return finding.baseline


def test_what_is_usual_is_the_targets_own_habit_then_the_platforms_mean_then_what_is_given() -> None:
    young, old = accounts(*[0.3] * (HISTORY_MIN - 1)), accounts(*[0.3] * HISTORY_MIN)
    given = {usual(f.FRESH): 0.2}
    assert baseline_of(accounts()) == 0.1
    assert baseline_of(young, **given) == 0.2
    assert baseline_of(old, **given) == pytest.approx(0.3)
    assert baseline_of(old, **given, **{habit(f.FRESH): 0.05}) == 0.05


def test_a_finding_speaks_of_what_exceeds_the_usual_part_of_those_who_have_an_actor() -> None:
    (finding,) = accounts().findings({**CROWD, f.FRESH: 0.91})
    assert finding.share == pytest.approx((0.91 - 0.1) / 0.9)
    (finding,) = accounts().findings({**CROWD, f.FRESH: 0.91, f.NAMED: 0.5, f.COUNT: 200.0})
    assert finding.share == pytest.approx((0.91 - 0.1) / 0.9 * 0.5)
    assert finding.text == "91% of the accounts are under 30 days old; 10% is usual"


def test_what_is_usual_is_no_finding_nor_what_one_honest_window_in_ten_has() -> None:
    assert accounts().findings({**CROWD, f.FRESH: 0.1}) == []
    for value in (0.3, 0.35, 0.4, 0.45, 0.5):
        rare = chernoff_bound(100, value, 0.1) < 0.1
        assert bool(accounts().findings({**CROWD, f.FRESH: value})) == rare
    assert chernoff_bound(100, 0.3, 0.1) >= 0.1 > chernoff_bound(100, 0.5, 0.1)


def test_without_history_chance_decides_and_few_people_are_counted_exactly() -> None:
    (finding,) = accounts().findings({**CROWD, f.FRESH: 0.8})
    assert finding.p == chernoff_bound(100, 0.8, 0.1)
    for people, p in ((7, beta_binomial_tail(7, 1.0, 0.1)), (8, chernoff_bound(8, 1.0, 0.1))):
        (finding,) = accounts().findings({f.COUNT: float(people), f.PEOPLE: float(people), f.FRESH: 1.0})
        assert finding.p == pytest.approx(p)


def test_with_history_a_window_is_no_rarer_than_the_number_of_its_people_allows() -> None:
    detector, ten = Accounts(), {f.COUNT: 10.0, f.PEOPLE: 10.0}
    for _ in range(3000):
        detector.learn_one({**ten, f.FRESH: 0.1})
    (few_people,) = detector.findings({**ten, f.FRESH: 0.25})
    assert few_people.p == pytest.approx(binomial_tail(10, 0.25, 0.1))
    (many,) = detector.findings({**CROWD, f.FRESH: 0.25})
    assert binomial_tail(100, 0.25, 0.1) < many.p < 1e-3


def test_of_likes_that_are_missing_the_number_that_came_bounds_the_p_value() -> None:
    detector = Engagement()
    for _ in range(3000):
        detector.learn_one({**CROWD, f.SILENT: 0.1, f.INTERACTIONS: 12.0})
    (finding,) = detector.findings({**CROWD, f.SILENT: 0.75, f.INTERACTIONS: 12.0})
    assert finding.p == pytest.approx(poisson_lower_tail(12.0, 3))


def test_features_of_one_detector_are_joined_by_simes_rule() -> None:
    x = {**CROWD, f.FRESH: 0.8, f.DORMANT: 0.7, f.COHORT: 0.1}
    one, other = sorted(finding.p for finding in accounts().findings(x))
    assert accounts().score_one(x) == pytest.approx(score_of(min(3 * one, 3 * other / 2)))
    assert accounts().score_one({**CROWD, f.FRESH: 0.8}) == pytest.approx(score_of(chernoff_bound(100, 0.8, 0.1)))


def test_it_is_experienced_when_one_of_its_features_has_a_history() -> None:
    assert not accounts(*[0.1] * (HISTORY_MIN - 1)).experienced()
    assert accounts(*[0.1] * HISTORY_MIN).experienced()


def test_a_window_teaches_how_far_it_strayed_from_the_targets_habit() -> None:
    """Targets whose crowds are always so do not make it usual for others to stray."""
    used, others = Accounts(), Accounts()
    for _ in range(200):
        used.learn_one({**CROWD, f.FRESH: 0.6, habit(f.FRESH): 0.6})
        others.learn_one({**CROWD, f.FRESH: 0.6, habit(f.FRESH): 0.1})
    strayed = {**CROWD, f.FRESH: 0.6, habit(f.FRESH): 0.1}
    assert used.score_one(strayed) > 3.0
    assert others.score_one(strayed) < 1.0


def test_a_p_value_at_the_limit_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "FINDING_P", chernoff_bound(100, 0.8, 0.1))
    assert accounts().findings({**CROWD, f.FRESH: 0.8}) == []
    assert len(accounts().findings({**CROWD, f.FRESH: 0.81})) == 1


def test_a_feature_that_has_just_begun_does_not_make_a_detector_inexperienced() -> None:
    detector = accounts(*[0.1] * HISTORY_MIN)
    detector.learn_one({**CROWD, f.COHORT: 0.1})
    assert detector.experienced()


def test_what_is_stored_of_a_detector_is_the_same_after_a_way_through_json() -> None:
    stored = accounts(0.1, 0.2).dump()
    assert json.loads(json.dumps(stored)) == stored
