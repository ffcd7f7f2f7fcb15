"""Views emitted at their end: of a young crowd only those who have left are known, which is no evidence."""

from __future__ import annotations

import random

import numpy as np
import pytest

from detectors.events.watch_buckets import WATCH_BINS, watch_bucket
from detectors.reference.ended_views import ENDS_MS, EndedViews
from detectors.reference.mixes import WatchMix

LASTS_MS = 280_000
"""The length of the video, in the class of at most five minutes."""
SPAN_MS = 300_000


def stays(rng: random.Random) -> int:
    """How long an honest viewer stays, in ms."""
    return round(LASTS_MS * min(1.0, rng.betavariate(1.2, 1.0) * 1.1))


def usual(seed: int = 1) -> WatchMix:
    rng, mix = random.Random(seed), WatchMix(4 * WATCH_BINS)
    buckets = np.array([watch_bucket(stays(rng), LASTS_MS) for _ in range(5000)])
    mix.learn(buckets, np.ones(len(buckets)))
    return mix


def known_of(came: list[tuple[int, int]], age_ms: int) -> dict[int, int]:
    """The watch times emitted within ``age_ms`` of a crowd that came within a while."""
    counts: dict[int, int] = {}
    for at, stayed in came:
        if at + stayed <= age_ms:
            bucket = watch_bucket(stayed, LASTS_MS)
            counts[bucket] = counts.get(bucket, 0) + 1
    return counts


def risen(seed: int, age_ms: int) -> list[tuple[int, int]]:
    """An honest hit: ever more come."""
    rng = random.Random(seed)
    return [(round(age_ms * rng.random() ** 0.5), stays(rng)) for _ in range(600)]


def share(mix: WatchMix, counts: dict[int, int]) -> float:
    return mix.excess(counts)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("age_ms", [20_000, 60_000, 300_000, 900_000])
def test_an_honest_hit_of_any_age_is_not_odd(age_ms: int, seed: int) -> None:
    counts = known_of(risen(seed, age_ms), age_ms)
    assert share(EndedViews.of(usual(), age_ms, min(age_ms, SPAN_MS)), counts) < 0.1


def test_it_would_be_beside_viewers_of_whom_all_is_known() -> None:
    counts = known_of(risen(1, 60_000), 60_000)
    assert share(usual(), counts) > 0.5


def test_a_class_that_began_together_is_not_odd_while_it_watches() -> None:
    rng = random.Random(2)
    stayed = [stays(rng) for _ in range(300)]
    for age_ms in range(30_000, LASTS_MS, 30_000):
        counts = known_of([(0, ms) for ms in stayed if ms > age_ms - 30_000], age_ms)
        if counts:
            assert share(EndedViews.of(usual(), age_ms, 30_000), counts) == 0.0


@pytest.mark.parametrize("age_ms", [300_000, 900_000])
def test_those_who_leave_early_are_odd_once_all_would_be_known(age_ms: int) -> None:
    rng = random.Random(3)
    came = [(rng.randrange(age_ms), rng.randrange(3_000, 12_000)) for _ in range(600)]
    assert share(EndedViews.of(usual(), age_ms, SPAN_MS), known_of(came, age_ms)) > 0.4


def test_beside_all_viewers_no_more_is_odd_than_beside_those_who_are_known() -> None:
    whole, rng = usual(), random.Random(4)
    for age_ms in (60_000, 400_000, 10 * max(ENDS_MS)):
        counts = {bucket: rng.randrange(1, 60) for bucket in range(8, 16)}
        known = EndedViews.of(whole, age_ms, SPAN_MS)
        assert share(known, counts) <= share(whole, counts)
        assert known.usual_share(counts, [8, 9]) >= whole.usual_share(counts, [8, 9])
