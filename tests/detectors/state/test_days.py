"""The days of a target whose crowds are wrong: which of them count, and how long nothing is learned."""

from __future__ import annotations

import pytest

from detectors.state.days import BLOCK_LEARNING_SCORE, DAYS_MAX, Day, Slow
from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY_MS


def _day(number: int, *, wrong: bool = True) -> Day:
    return Day(number * DAY_MS, 40, 1.5, wrong, 30.0, 20.0, 40.0, 0)


@pytest.mark.parametrize(
    ("joint", "last", "blocks"),
    [
        (BLOCK_LEARNING_SCORE, 3, True),
        (BLOCK_LEARNING_SCORE + 1.0, 3, True),
        (BLOCK_LEARNING_SCORE - 0.01, 3, False),
        (BLOCK_LEARNING_SCORE, DAYS_MAX + 1, True),
        (BLOCK_LEARNING_SCORE, DAYS_MAX + 2, False),
    ],
)
def test_nothing_is_learned_while_the_days_may_be_fraud_and_not_for_ever(joint: float, last: int, blocks: bool) -> None:
    assert Slow(days=[_day(2), _day(last)], joint=joint).blocks_learning() is blocks


def test_past_days_begin_with_the_first_wrong_one_and_end_before_the_last() -> None:
    days = [_day(1, wrong=False), _day(2), _day(3, wrong=False), _day(4)]
    assert [day.start // DAY_MS for day in Slow(days=days).past_days()] == [2, 3]
    assert Slow(days=[_day(1, wrong=False), _day(2, wrong=False)]).past_days() == []
    assert Slow(days=days).wrong_days() == 2


def test_a_day_that_has_closed_notes_what_was_moved_of_it_and_no_other_day_does() -> None:
    slow = Slow(days=[_day(1), _day(2)])
    slow.close_day(DAY_MS, Crowd(n=9, quarantined=5, cased=7))
    assert [(day.quarantined, day.cased) for day in slow.days] == [(0, 0), (0, 0)]
    slow.close_day(2 * DAY_MS, Crowd(n=9, quarantined=5, cased=7))
    assert [(day.quarantined, day.cased) for day in slow.days] == [(0, 0), (5, 7)]


@pytest.mark.parametrize(("last", "blocks"), [(27, True), (28, False)])
def test_after_four_weeks_it_is_normal_for_the_target(last: int, *, blocks: bool) -> None:
    assert Slow(days=[_day(0), _day(last)], joint=9.0).blocks_learning() == blocks


@pytest.mark.parametrize(("joint", "blocks"), [(3.0, True), (2.99, False)])
def test_days_that_together_are_as_rare_as_one_in_a_thousand_block_learning(joint: float, *, blocks: bool) -> None:
    assert Slow(days=[_day(0), _day(1)], joint=joint).blocks_learning() == blocks


def test_all_days_count_from_the_first_to_the_last() -> None:
    assert not Slow(days=[_day(0), _day(20), _day(28)], joint=9.0).blocks_learning()
    assert Slow(days=[_day(1), _day(20), _day(28)], joint=9.0).blocks_learning()
