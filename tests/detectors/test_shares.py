"""Shares of few people: exact, never surer than the people are alike, and quiet about what one person can explain."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom  # type: ignore[import-untyped]  # without types

from detectors.shares import ALIKE, few

SIZES = st.integers(5, 7)
SHARES = st.floats(0.01, 0.9)


@given(SIZES, SHARES, st.data())
def test_it_is_the_tail_of_the_beta_binomial(size: int, usual: float, data: st.DataObject) -> None:
    having = data.draw(st.integers(0, size))
    alpha, beta = (share * (1.0 - ALIKE) / ALIKE for share in (usual, 1.0 - usual))
    expected = betabinom.sf(having - 1, size, alpha, beta)
    assert math.isclose(few(size, having / size, usual), expected, rel_tol=1e-6)


@given(SIZES, SHARES, st.floats(0, 1), st.floats(0, 1))
def test_more_who_have_it_are_never_likelier(size: int, usual: float, some: float, others: float) -> None:
    assert few(size, max(some, others), usual) <= few(size, min(some, others), usual) <= 1.0


@pytest.mark.parametrize("size", [5, 6, 7])
def test_a_few_people_alone_never_reach_what_independent_people_would(size: int) -> None:
    assert few(size, 1.0, 0.1) > 10 * 0.1**size
    assert few(size, 1.0, 0.1) < 0.01
    assert few(size, 1.0, 0.5) > 0.01
