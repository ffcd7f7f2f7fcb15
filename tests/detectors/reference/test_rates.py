"""When views are emitted, by the likes of people who have viewed; how far targets differ in likes."""

from __future__ import annotations

import random

import numpy as np
import pytest

from detectors.platform.platform import Platform
from detectors.reference.rates import Rates, lower_bound

LIKE, FOLLOW = 1, 2


def rates(*acts: tuple[int, float, float, float]) -> Rates:
    """Of so many acts of a metric, these had viewed by the end of their five minutes, and of their hour."""
    learned = Rates()
    for metric, number, soon, later in acts:
        learned.learn_viewers("minutes", metric, number, soon)
        learned.learn_viewers("hour", metric, number, later)
    return learned


def observed(ratio: float, acts: int, seed: int) -> Rates:
    """Of ``acts`` likes by people who viewed within the hour, each had viewed soon with probability ``ratio``."""
    rng = random.Random(seed)
    soon = sum(rng.random() < ratio for _ in range(acts))
    return rates((LIKE, float(acts), float(soon), float(acts)))


@pytest.mark.parametrize("acts", [20, 40, 80, 160, 320, 640, 1280])
def test_views_emitted_at_their_end_are_seldom_taken_for_views_emitted_at_the_start(acts: int) -> None:
    wrong = sum(observed(0.87, acts, seed).emitted_at_start() for seed in range(500))
    assert wrong <= 5


def test_it_is_known_after_some_likes_if_views_are_emitted_at_the_start() -> None:
    assert all(observed(0.99, 200, seed).emitted_at_start() for seed in range(100))


def test_a_few_likes_do_not_show_it_though_all_of_them_follow_a_view() -> None:
    assert not rates((LIKE, 80.0, 80.0, 80.0)).emitted_at_start()
    assert rates((LIKE, 82.0, 82.0, 82.0)).emitted_at_start()


def test_follows_after_views_do_not_show_it_while_likes_come_before_theirs() -> None:
    """Who follows has watched to the end: the follow comes after the view, wherever views are emitted."""
    follows = (FOLLOW, 1000.0, 960.0, 1000.0)
    assert rates(follows).emitted_at_start()
    assert not rates(follows, (LIKE, 1000.0, 860.0, 1000.0)).emitted_at_start()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((FOLLOW, 15.0, 5.0, 15.0), id="too few"),
        pytest.param((FOLLOW, 1000.0, 10.0, 30.0), id="follows of channels, which have no views"),
        pytest.param((FOLLOW, 30.0, 30.0, 30.0), id="few, and after views"),
    ],
)
def test_a_metric_that_shows_nothing_does_not_contradict(other: tuple[int, float, float, float]) -> None:
    assert rates((LIKE, 1000.0, 990.0, 1000.0), other).emitted_at_start()


def test_the_bound_of_a_share_comes_closer_to_it_with_the_acts() -> None:
    bounds = [lower_bound(0.95, size) for size in (20.0, 100.0, 1000.0, 1e6)]
    assert bounds == sorted(bounds)
    assert bounds[-1] == pytest.approx(0.95, abs=1e-3)


# ---------------------------------------------------------------- how far targets differ


def differing(shape: float, *, windows: int = 2000, seed: int = 5, bought: int = 0) -> Rates:
    """Windows of targets whose rates have a gamma law around one like for twenty people; ``bought`` of them have a
    hundred likes more."""
    rng = np.random.default_rng(seed)
    people = np.exp(rng.uniform(np.log(20.0), np.log(400.0), windows))
    own = rng.gamma(shape, 1.0 / shape, windows)
    likes = rng.poisson(0.05 * people * own)
    likes[:bought] += 100
    learned = Rates()
    learned.learn("hour", [(1000.0, 50, 0)] * 20)
    learned.learn_variation("hour", list(zip(people.tolist(), likes.tolist(), strict=True)))
    return learned


@pytest.mark.parametrize("shape", [1.5, 3.0, 6.0])
def test_how_far_targets_differ_is_learned(shape: float) -> None:
    assert differing(shape).shape() == pytest.approx(shape, rel=0.35)


def test_targets_that_are_alike_are_found_to_be_alike() -> None:
    assert differing(1e6).shape() > 15.0


def test_bought_likes_of_one_window_in_a_hundred_do_not_make_targets_differ() -> None:
    assert differing(6.0, bought=20).shape() > 3.0


def test_a_few_windows_hardly_change_what_is_assumed() -> None:
    assert Rates().shape() == pytest.approx(3.0)
    assert differing(0.7, windows=8).shape() > 1.5


def test_a_targets_own_rate_is_known_the_better_the_more_of_its_viewers_are() -> None:
    learned = differing(1.5)
    few, many = learned.own(0.0, 1.0), learned.own(100.0, 100.0)
    assert few[0] > 0.5
    assert many[0] == pytest.approx(1.0)
    assert many[1] > 20.0 * few[1]


def test_what_is_known_of_targets_is_stored() -> None:
    platform, other = Platform(), Platform()
    platform.rates = differing(1.5)
    other.load(platform.dump())
    assert other.rates.shape() == platform.rates.shape()
    old = {name: value for name, value in platform.dump().items() if name != "variation"}
    other.load(old)
    assert other.rates.shape() == Rates().shape()
