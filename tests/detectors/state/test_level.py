"""A target's level: follows honest growth, is not bought by a burst, and knows silence."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import stats

from detectors.reference.seasons import Seasons
from detectors.state.level import (
    CLIP_SPREADS,
    DISPERSION_RANGE,
    GAP_WINDOWS_MAX,
    MEMORY_WINDOWS,
    Level,
)
from detectors.windows.scales import HOUR_MS, MINUTE_MS, Scale

MINUTES = Scale("minutes", 5 * MINUTE_MS)
DAY = Scale("day", 24 * HOUR_MS)


def _level(counts: list[int], scale: Scale = MINUTES) -> Level:
    level = Level()
    for number, count in enumerate(counts):
        level.learn(scale, number * scale.span_ms, count, 1.0)
    return level


@given(st.lists(st.integers(0, 60), min_size=1, max_size=150), st.integers(1, 200), st.sampled_from([MINUTES, DAY]))
def test_a_silence_in_one_step_equals_the_same_number_of_empty_windows(
    counts: list[int], gap: int, scale: Scale
) -> None:
    jumped, walked = _level(counts, scale), _level(counts, scale)
    start = len(counts) * scale.span_ms
    jumped.learn(scale, start + gap * scale.span_ms, 7, 1.0)
    for number in range(gap):
        walked.learn(scale, start + number * scale.span_ms, 0, 1.0)
    walked.learn(scale, start + gap * scale.span_ms, 7, 1.0)
    assert jumped.windows == walked.windows
    assert math.isclose(jumped.mean, walked.mean, rel_tol=1e-6, abs_tol=1e-9)
    assert math.isclose(jumped.mean_square, walked.mean_square, rel_tol=1e-6, abs_tol=1e-9)


def test_a_silence_of_years_costs_nothing_and_forgets_everything() -> None:
    level = _level([50] * 200)
    level.learn(MINUTES, 10**9 * MINUTES.span_ms, 0, 1.0)
    assert level.mean < 5.0


@given(st.lists(st.integers(0, 100), min_size=10, max_size=100), st.integers(1000, 10**9))
def test_a_burst_teaches_no_more_than_its_clip(counts: list[int], burst: int) -> None:
    level = _level(counts)
    spread = math.sqrt(max(level.mean_square - level.mean**2, level.mean, 1.0))
    most = level.mean + CLIP_SPREADS * spread
    fading = max(1 / MEMORY_WINDOWS["minutes"], 1 / (level.windows + 1))
    before = level.mean
    level.learn(MINUTES, len(counts) * MINUTES.span_ms, burst, 1.0)
    assert level.mean <= before + fading * (most - before) + 1e-6


@given(st.lists(st.integers(0, 12), max_size=20), st.integers(0, 12))
def test_a_level_fades_as_the_mean_of_river_bit_for_bit(counts: list[int], count: int) -> None:
    level, memory = _level([10] * MEMORY_WINDOWS["minutes"] + counts), MEMORY_WINDOWS["minutes"]
    rivers = stats.EWMean(1.0 / memory), stats.EWMean(1.0 / memory)
    for river, before, new in zip(rivers, (level.mean, level.mean_square), (count, count * count), strict=True):
        river.update(before)
        river.update(new)
    level.learn(MINUTES, level.windows * MINUTES.span_ms, count, 1.0)
    assert (level.mean, level.mean_square) == tuple(river.get() for river in rivers)


def test_a_lasting_change_arrives_within_the_memory() -> None:
    level = _level([10] * 100 + [40] * 2 * MEMORY_WINDOWS["minutes"])
    assert level.mean == pytest.approx(40, rel=0.2)


@given(st.lists(st.integers(0, 10**6), max_size=120))
def test_dispersion_stays_within_its_bounds(counts: list[int]) -> None:
    low, high = DISPERSION_RANGE
    assert low <= _level(counts).dispersion() <= high


def test_a_steady_target_is_nearly_poisson_and_a_bursty_one_is_not() -> None:
    assert _level([20] * 100).dispersion() == DISPERSION_RANGE[1]
    assert _level([0, 0, 0, 80] * 25).dispersion() < 1.0


def test_a_season_is_taken_out_of_what_is_learned() -> None:
    level = Level()
    for number in range(100):
        season = 0.5 if number % 2 else 2.0
        level.learn(MINUTES, number * MINUTES.span_ms, 10 * season, season)
    assert level.mean == pytest.approx(10)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 10**6)), max_size=60), st.integers(0, 400))
def test_the_season_is_a_bounded_factor(hours: list[tuple[int, int]], asked: int) -> None:
    seasons = Seasons()
    for hour, count in hours:
        seasons.learn(hour * HOUR_MS, count)
    assert 0.2 <= seasons.factor(asked * HOUR_MS) <= 5.0


def test_a_day_of_rhythm_is_known_after_a_few_days() -> None:
    seasons = Seasons()
    for hour in range(24 * 7):
        seasons.learn(hour * HOUR_MS, 300 if hour % 24 == 20 else 100)
    assert seasons.factor(20 * HOUR_MS) > 2 * seasons.factor(4 * HOUR_MS)


def test_the_first_windows_count_alike() -> None:
    level = _level([1, 2, 3])
    assert (level.mean, level.mean_square, level.windows) == pytest.approx((2.0, 14 / 3, 3))


@pytest.mark.parametrize(("windows", "learned"), [(3, 1000.0), (4, 10 + CLIP_SPREADS * math.sqrt(10))])
def test_from_four_windows_on_a_window_teaches_four_spreads_at_most(windows: int, learned: float) -> None:
    level = _level([10] * windows)
    level.learn(MINUTES, windows * MINUTES.span_ms, 1000, 1.0)
    assert level.mean == pytest.approx(10 + (learned - 10) / (windows + 1))


@pytest.mark.parametrize(("scale", "memory"), [(MINUTES, 96), (Scale("hour", HOUR_MS), 96), (DAY, 28)])
def test_old_windows_fade_over_the_memory_of_their_scale(scale: Scale, memory: int) -> None:
    for windows, weight in ((memory - 1, memory), (memory, memory), (3 * memory, memory)):
        level = _level([10] * windows, scale)
        level.learn(scale, windows * scale.span_ms, 11, 1.0)
        assert level.mean == pytest.approx(10 + 1 / weight)


def test_the_spread_is_no_less_than_that_of_chance_and_of_one_event() -> None:
    quiet, busy = _level([0] * 50), _level([16] * 50)
    quiet.learn(MINUTES, 50 * MINUTES.span_ms, 1000, 1.0)
    busy.learn(MINUTES, 50 * MINUTES.span_ms, 1000, 1.0)
    assert quiet.mean == pytest.approx(CLIP_SPREADS * 1.0 / 51)
    assert busy.mean == pytest.approx(16 + CLIP_SPREADS * 4.0 / 51)


def test_dispersion_is_that_of_a_negative_binomial_of_the_same_mean_and_variance() -> None:
    level = Level(mean=10.0, mean_square=150.0, windows=4)
    assert level.dispersion() == pytest.approx(100 / (50 - 10))
    assert Level(mean=10.0, mean_square=150.0, windows=3).dispersion() == 0.15
    assert Level(mean=0.0, mean_square=0.0, windows=9).dispersion() == 0.15
    assert Level(mean=10.0, mean_square=110.0, windows=4).dispersion() == 50.0
    assert Level(mean=10.0, mean_square=110.5, windows=4).dispersion() == 50.0
    assert Level(mean=1.0, mean_square=90.0, windows=4).dispersion() == 0.15


def test_windows_that_follow_each_other_have_no_silence_between_and_a_long_one_is_bounded() -> None:
    level = _level([10] * 200)
    level.learn(MINUTES, 202 * MINUTES.span_ms, 10, 1.0)
    kept = 1 - 1 / 96
    assert level.windows == 203
    assert level.mean == pytest.approx(10 * kept**3 + 10 / 96)
    longest, longer = _level([10] * 200), _level([10] * 200)
    longest.learn(MINUTES, (200 + GAP_WINDOWS_MAX) * MINUTES.span_ms, 0, 1.0)
    longer.learn(MINUTES, (900 + GAP_WINDOWS_MAX) * MINUTES.span_ms, 0, 1.0)
    assert longest.mean == longer.mean == pytest.approx(10 * kept**257)
