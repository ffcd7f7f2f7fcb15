"""A p-value says how often honest history goes as far."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.scoring.calibration import HISTORY_MAX, HISTORY_MIN, Calibrator, Mean, Tail

scores = st.floats(0, 1)


def _taught(values: list[float]) -> Tail:
    tail = Tail()
    for value in values:
        tail.learn([value])
    return tail


@given(scores)
def test_without_history_nothing_is_rare(score: float) -> None:
    assert _taught([0.1] * (HISTORY_MIN - 1)).p(score) == 1.0
    assert Calibrator().p(100, score) is None


@given(st.lists(scores, min_size=HISTORY_MIN, max_size=300), scores, scores)
def test_a_higher_score_is_never_more_probable(history: list[float], one: float, other: float) -> None:
    tail = _taught(history)
    low, high = sorted((one, other))
    assert 0.0 < tail.p(high) <= tail.p(low) <= 1.0


@pytest.mark.parametrize("shape", ["uniform", "beta", "mostly zero"])
def test_p_values_of_honest_windows_are_at_least_uniform(shape: str) -> None:
    rng = random.Random(7)

    def draw() -> float:
        if shape == "uniform":
            return rng.random()
        if shape == "beta":
            return rng.betavariate(2, 12)
        return 0.0 if rng.random() < 0.8 else rng.betavariate(1, 8)

    tail = _taught([draw() for _ in range(5000)])
    found = [tail.p(draw()) for _ in range(5000)]
    for level in (0.5, 0.1, 0.05, 0.01, 0.002):
        assert sum(p <= level for p in found) / len(found) <= 1.5 * level + 0.002


def test_beyond_all_history_it_falls_on_and_on() -> None:
    tail = _taught([random.Random(n).betavariate(2, 12) for n in range(3000)])
    found = [tail.p(score) for score in (0.6, 0.7, 0.8, 0.9, 1.0)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)
    assert found[-1] < 1e-4


def test_asking_changes_nothing() -> None:
    tail = Tail()
    for number in range(500):
        tail.learn([(number % 10) / 10])
        before = msgspec.to_builtins(tail)
        tail.p(0.99)
        assert msgspec.to_builtins(tail) == before


def test_old_history_fades_so_the_tail_follows_the_platform() -> None:
    tail = _taught([0.0] * (HISTORY_MAX - 1))
    before = tail.p(0.5)
    for _ in range(HISTORY_MAX):
        tail.learn([0.5])
    assert before < 0.001
    assert tail.p(0.5) > 0.5
    assert tail.total <= HISTORY_MAX


def test_a_size_without_history_borrows_from_the_next_smaller_one() -> None:
    calibrator = Calibrator()
    for number in range(100):
        calibrator.learn([20], [number / 1000])
    borrowed, own = calibrator.p(5000, 0.9), calibrator.p(20, 0.9)
    assert borrowed is not None
    assert own is not None
    assert borrowed == own < 0.05
    assert calibrator.p(4, 0.9) is None


def test_from_thirty_windows_on_there_is_a_history() -> None:
    assert _taught([0.1] * 29).p(1.0) == 1.0
    assert _taught([0.1] * 30).p(1.0) < 0.1


def test_within_what_was_seen_it_is_the_share_that_went_as_far_and_one_more() -> None:
    tail = _taught([n / 100 for n in range(100)])
    for score, beyond in ((0.0, 100), (0.25, 75), (0.5, 50)):  # these begin a bin
        assert tail.p(score) == pytest.approx((beyond + 1) / 101)


def test_beyond_it_the_upper_tenth_goes_on_exponentially_by_its_mean_excess() -> None:
    """Nine tenths of the windows are in the first of 64 bins, one tenth in the bin from 32/64 to 33/64."""
    tail = _taught([0.0] * 27 + [0.501] * 3)
    share, edge = 4 / 31, 1 / 64
    excess = (3 * (32.5 / 64 - edge) + 0.06 * 8) / (3 + 8)
    assert (tail.share, tail.excess) == pytest.approx((share, excess))
    assert tail.p(0.9) == pytest.approx(share * math.exp(-(0.9 - edge) / excess))
    assert tail.p(edge) == pytest.approx(4 / 31)


def test_the_tail_begins_where_no_more_than_a_tenth_lies_beyond() -> None:
    one_in_ten, more = _taught([0.0] * 27 + [0.99] * 3), _taught([0.0] * 26 + [0.99] * 4)
    assert (one_in_ten.cut, one_in_ten.share) == pytest.approx((0, 4 / 31))
    assert (more.cut, more.share) == pytest.approx((63, 1 / 31))


def test_scores_beyond_the_range_are_at_its_ends() -> None:
    tail = _taught([-1.0, 2.0, 1.0, 0.0])
    assert (tail.bins[0], tail.bins[-1], sum(tail.bins)) == (2.0, 2.0, 4.0)


def test_the_tail_is_fitted_again_when_history_has_grown_by_a_tenth() -> None:
    tail = _taught([0.1] * 30)
    fitted = []
    for _ in range(40):
        tail.learn([0.1])
        fitted.append(tail.fitted)
    assert fitted[:4] == [30, 30, 30, 34]
    assert sorted(set(fitted)) == [30, 34, 38, 42, 47, 52, 58, 64]


def test_at_twenty_thousand_windows_all_counts_are_halved() -> None:
    tail = _taught([0.1] * 19_999)
    assert tail.total == 19_999
    tail.learn([0.1])
    assert (tail.total, sum(tail.bins), tail.fitted) == (10_000, 10_000, 10_000)


@pytest.mark.parametrize(("size", "known"), [(15, False), (16, True), (31, True), (10**6, True)])
def test_sizes_are_powers_of_two_and_a_smaller_crowd_borrows_nothing(size: int, *, known: bool) -> None:
    calibrator = Calibrator()
    for _ in range(HISTORY_MIN):
        calibrator.learn([20], [0.1])
    assert (calibrator.p(size, 0.5) is not None) == known
    assert calibrator.history() == HISTORY_MIN


def test_the_history_is_that_of_the_best_known_size() -> None:
    calibrator = Calibrator()
    assert calibrator.history() == 0.0
    for size in (5, 5, 5, 100):
        calibrator.learn([size], [0.1])
    assert calibrator.history() == 3.0
    assert calibrator.p(100, 0.9) is None


def test_a_mean_is_of_all_values_and_then_of_the_last_five_thousand() -> None:
    mean = Mean()
    for value in (1.0, 2.0, 6.0):
        mean.learn(value)
    assert (mean.value, mean.seen) == (3.0, 3)
    mean = Mean(value=1.0, seen=4_999)
    mean.learn(2.0)
    mean.learn(2.0)
    assert mean.seen == 5_000
    assert mean.value == pytest.approx(1.0 + 1 / 5_000 + (1 - 1 / 5_000) / 5_000)
