"""A p-value says how often honest history goes as far."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.scoring.calibration import HISTORY_MAX, HISTORY_MIN, Calibrator, Tail

scores = st.floats(0, 1)


def _taught(values: list[float]) -> Tail:
    tail = Tail()
    for value in values:
        tail.learn(value)
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
        tail.learn((number % 10) / 10)
        before = msgspec.to_builtins(tail)
        tail.p(0.99)
        assert msgspec.to_builtins(tail) == before


def test_old_history_fades_so_the_tail_follows_the_platform() -> None:
    tail = _taught([0.0] * (HISTORY_MAX - 1))
    before = tail.p(0.5)
    for _ in range(HISTORY_MAX):
        tail.learn(0.5)
    assert before < 0.001
    assert tail.p(0.5) > 0.5
    assert tail.total <= HISTORY_MAX


def test_a_size_without_history_borrows_from_the_next_smaller_one() -> None:
    calibrator = Calibrator()
    for number in range(100):
        calibrator.learn(20, number / 1000)
    borrowed, own = calibrator.p(5000, 0.9), calibrator.p(20, 0.9)
    assert borrowed is not None
    assert own is not None
    assert borrowed == own < 0.05
    assert calibrator.p(4, 0.9) is None
