"""When a platform's views are emitted, by the likes and follows of people who have viewed."""

from __future__ import annotations

import random

import pytest

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
