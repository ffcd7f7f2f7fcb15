"""P-values of shares of few people: exact, and never smaller than chance alone allows."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom, poisson  # type: ignore[import-untyped]  # without types

from detectors.catalog.engagement import Engagement
from detectors.features import names as f
from detectors.scoring.tails import CORRELATION, beta_binomial_tail, binomial_tail, poisson_lower_tail

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
