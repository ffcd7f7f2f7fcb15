"""A hit brings new people and people who leave; only of a bought part these are the same people."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom  # type: ignore[import-untyped]  # without types

from detectors.reference.known_actors import KnownActors
from detectors.verdict.same_people import NONE, fisher, same_people
from detectors.windows.crowd import Crowd, Row
from tests.crowds import fold
from tests.detectors.verdict.test_marked_share import bought, honest, mixes

LEFT_AT_ONCE = 0


def crowd_of(rows: list[Row]) -> Crowd:
    crowd = Crowd()
    fold(crowd, rows)
    return crowd


def leaving(row: Row) -> Row:
    return (*row[:6], LEFT_AT_ONCE)


def knowing(*crowds: Crowd) -> tuple[KnownActors, ...]:
    known = KnownActors()
    for crowd in crowds:
        known.add_all(list(crowd.actor_hashes()))
    return (known,)


def test_new_people_who_leave_are_told_from_new_people_beside_people_who_leave() -> None:
    rng = random.Random(1)
    usual = mixes(rng)
    same = crowd_of([bought(rng, rented=False) for _ in range(60)] + [honest(rng) for _ in range(100)])
    new = [(*bought(rng, rented=False)[:6], rng.randrange(8)) for _ in range(60)]
    apart = crowd_of(new + [leaving(honest(rng)) for _ in range(60)] + [honest(rng) for _ in range(40)])
    known = knowing(same, apart)

    assert same_people(same, usual, known).score > 6.0
    assert same_people(same, usual, known).share == pytest.approx(60 / 160, abs=0.05)
    assert same_people(apart, usual, known).score < 2.0


def test_a_crowd_of_which_all_leave_does_not_say_who_they_are() -> None:
    rng = random.Random(2)
    crowd = crowd_of([leaving(honest(rng)) for _ in range(80)])
    assert same_people(crowd, mixes(rng), knowing(crowd)).score < 2.0


def test_accounts_never_met_are_told_before_they_have_been() -> None:
    rng = random.Random(3)
    usual = mixes(rng)
    rows = [bought(rng, new=False, rented=False) for _ in range(40)]
    regulars = [honest(rng) for _ in range(60)]
    crowd = crowd_of(rows + regulars)
    assert same_people(crowd, usual, knowing(crowd_of(regulars))).score > 6.0
    assert same_people(crowd, usual, knowing(crowd)).score < 2.0


def test_people_of_whom_neither_is_given_say_nothing() -> None:
    rng = random.Random(4)
    blank: list[Row] = [(actor, -1, -1, -1, -1, -1, -1) for actor in range(50)]
    assert same_people(crowd_of(blank), mixes(rng), knowing()) == NONE
    assert same_people(Crowd(), mixes(rng), knowing()) == NONE


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_the_exact_test_is_a_probability_and_the_whole_of_it_is_one(first: int, second: int, beside: int) -> None:
    together = max(first, second) + beside
    tails = [fisher(both, first, second, together) for both in range(min(first, second) + 1)]
    assert math.isclose(tails[0], 1.0)
    assert all(0.0 <= later <= earlier <= 1.0 + 1e-12 for earlier, later in pairwise(tails))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_it_does_not_matter_which_mark_comes_first(both: int, first: int, second: int) -> None:
    first, second = first + both, second + both
    together = first + second
    assert math.isclose(fisher(both, first, second, together), fisher(both, second, first, together), rel_tol=1e-9)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(1, 20))
def test_it_is_the_tail_of_the_hypergeometric_distribution(both: int, first: int, second: int, neither: int) -> None:
    together = both + first + second + neither
    exact = hypergeom.sf(both - 1, together, both + first, both + second)
    assert math.isclose(fisher(both, both + first, both + second, together), exact, rel_tol=1e-6)


def people(*counts: tuple[int, int, int]) -> Crowd:
    """So many people each, of an account and a watch time."""
    rows, actor = [], 0
    for number, account, watch in counts:
        for _ in range(number):
            rows.append((actor, -1, -1, -1, -1, account, watch))
            actor += 2
    return crowd_of(rows)


NEW, OLD = 7, 6
LEFT, STAYED = 0, 7


def test_new_people_who_leave_are_counted_and_tested_among_those_of_whom_both_is_given() -> None:
    """Of 80 people 32 are new, 36 leave, and 30 are both. New accounts are one of two marks that are tried."""
    crowd = people((30, NEW, LEFT), (2, NEW, STAYED), (6, OLD, LEFT), (42, OLD, STAYED), (20, -1, LEFT), (20, NEW, -1))
    found = same_people(crowd, mixes(random.Random(7)), ())
    assert found.share == 30 / 80
    assert found.score == pytest.approx(-math.log10(2 * fisher(30, 32, 36, 80)))


def test_people_whose_accounts_were_made_together_are_known_by_it_if_they_leave() -> None:
    """Nobody is new: of 80 people 30 were made in the same days, and leave; the others are of all ages."""
    rows = [(2 * n, -1, -1, -1, -1, 11 << 1, LEFT) for n in range(30)]
    rows += [(100 + 2 * n, -1, -1, -1, -1, (n % 30) << 1, STAYED) for n in range(50)]
    found = same_people(crowd_of(rows), mixes(random.Random(7)), ())
    assert found.share == 30 / 80
    made = 30 + sum(n % 30 == 11 for n in range(50))
    assert found.score == pytest.approx(-math.log10(2 * fisher(30, made, 30, 80)))


def test_a_third_mark_is_tried_where_it_is_known_who_has_been_met() -> None:
    crowd = people((30, NEW, LEFT), (2, NEW, STAYED), (6, OLD, LEFT), (42, OLD, STAYED))
    found = same_people(crowd, mixes(random.Random(7)), knowing(crowd))
    assert found.score == pytest.approx(-math.log10(3 * fisher(30, 32, 36, 80)))
