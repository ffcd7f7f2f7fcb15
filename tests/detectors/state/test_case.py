"""What a case makes of its windows: its purity and its score."""

from __future__ import annotations

import math

import pytest

from detectors.state.case import ARTIFICIAL, Case
from detectors.state.marks import MARKS_MAX, Marks
from detectors.windows.sample import ACTOR_SAMPLE


def case(**more: float) -> Case:
    return Case("id", 0, 0, 0, ARTIFICIAL, "surge", **more)  # type: ignore[arg-type]  # each is one of its numbers


def test_a_new_case_has_flagged_no_events() -> None:
    assert case().flagged_artificial == 0


def test_its_purity_is_the_artificial_part_of_the_excess_and_all_of_it_where_nothing_is_known() -> None:
    assert case().purity() == 1.0
    assert case(judged=40.0, found=30.0).purity() == 0.75


@pytest.mark.parametrize(
    ("surge", "crowd", "score"), [(0.0, 0.0, 0), (2.0, 2.0, 63), (3.0, 3.0, 78), (900.0, 0.0, 100)]
)
def test_its_score_grows_with_surge_and_crowd_together(surge: float, crowd: float, score: int) -> None:
    assert case(surge=surge, crowd=crowd).score() == score == round(100 * (1 - math.exp(-(min(30, surge) + crowd) / 4)))


def test_a_surge_alone_is_worth_thirty_at_most() -> None:
    assert case(surge=31.0, crowd=-29.0).score() == case(surge=30.0, crowd=-29.0).score() == 22


def test_of_too_many_marks_the_first_are_kept() -> None:
    many = Marks(networks=list(range(1, MARKS_MAX + 1)), watches=[3], codes=["b"])
    joined = many.joined(Marks(networks=[0], cohorts=[5], codes=["a"]))
    assert joined == Marks(list(range(MARKS_MAX)), [5], [3], ["a", "b"])


def test_a_case_remembers_as_many_marks_of_a_kind_as_a_crowds_sample_has_people() -> None:
    joined = Marks(networks=list(range(400)), cohorts=list(range(ACTOR_SAMPLE))).joined(Marks(networks=[1000]))
    assert (len(joined.networks), len(joined.cohorts)) == (ACTOR_SAMPLE, ACTOR_SAMPLE)
