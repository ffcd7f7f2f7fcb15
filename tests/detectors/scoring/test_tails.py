"""How rare a share is among people who are alike, where no windows have been seen."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.scoring.tails import beta_binomial_tail, binomial_tail, chernoff_bound, poisson_lower_tail

SHARES = st.floats(0.01, 0.99)


@given(SHARES, SHARES)
def test_of_one_person_it_is_chernoffs_bound(one: float, other: float) -> None:
    low, high = sorted((one, other))
    bound = (low / high) ** high * ((1.0 - low) / (1.0 - high)) ** (1.0 - high)
    assert chernoff_bound(1, high, low) == pytest.approx(bound if high > low else 1.0)


@given(st.integers(1, 10**6), SHARES, SHARES)
def test_a_crowd_is_worth_as_many_people_as_kishs_design_effect_says(size: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    worth = size / (1.0 + 0.15 * (size - 1))
    of_one = math.log(chernoff_bound(1, high, low))
    assert math.log(chernoff_bound(size, high, low)) == pytest.approx(worth * of_one, abs=1e-9)


def test_a_share_that_all_have_or_that_nobody_should_have_is_bounded() -> None:
    assert chernoff_bound(1, 1.0, 0.2) == pytest.approx(0.2)
    assert chernoff_bound(1, 1.3, 0.2) == pytest.approx(0.2)
    assert chernoff_bound(1, 1.0, 0.0) == pytest.approx(0.001)


def test_nobody_and_what_is_usual_are_not_rare() -> None:
    assert chernoff_bound(0, 1.0, 0.1) == 1.0
    assert chernoff_bound(100, 0.2, 0.2) == 1.0
    assert chernoff_bound(100, 0.201, 0.2) < 1.0


def test_a_mark_that_nobody_or_everybody_usually_has_is_taken_for_one_in_a_thousand_that_is_otherwise() -> None:
    assert binomial_tail(1, 1.0, 0.0) == pytest.approx(0.001)
    assert binomial_tail(2, 1.0, 0.9999) == pytest.approx(0.999**2)
    assert binomial_tail(10_000, 1.0, 0.9998) == pytest.approx(0.999**10_000, rel=1e-6)


def test_what_is_expected_and_came_is_not_missing() -> None:
    assert poisson_lower_tail(3.0, 3) == 1.0
    assert poisson_lower_tail(3.001, 3) == pytest.approx(0.647, abs=1e-3)


def test_a_share_that_nobody_or_everybody_has_is_taken_for_one_in_a_thousand_among_few_people_too() -> None:
    for size in (1, 5):
        assert beta_binomial_tail(size, 1.0, 0.0) == beta_binomial_tail(size, 1.0, 0.001) > 0.0
        assert beta_binomial_tail(size, 1.0, 1.0) == beta_binomial_tail(size, 1.0, 0.999) < 1.0
        assert beta_binomial_tail(size, 1.0, 0.0015) > beta_binomial_tail(size, 1.0, 0.001)
    assert beta_binomial_tail(1, 1.0, 0.0) == pytest.approx(0.001)
    assert beta_binomial_tail(1, 1.0, 1.0) == pytest.approx(0.999)
