"""Expected counts and features of a window, by the target's past and by its windows without events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detectors.catalog.engagement import Engagement
from detectors.events.key import VIEW, key_of
from detectors.features import names as f
from detectors.measurement.expectation import RULE_OF_THREE
from detectors.measurement.measuring import expect, measure_all
from detectors.measurement.other_metrics import OtherMetrics, watch_buckets_of
from detectors.measurement.window_view import WindowView
from detectors.platform.platform import Platform
from detectors.records import Outcome
from detectors.reference.ended_views import longest_view_ms
from detectors.state.level import Level
from detectors.state.target_state import TargetState
from detectors.state.target_states import MemoryTargetStates
from detectors.windows.crowd import Crowd, pack_row
from detectors.windows.scales import HOUR_MS, MINUTE_MS, ladder
from tests.crowds import fold

SCALES = ladder(10)
MINUTES = SCALES[1]
TYPICAL = 6.0


def expected(windows_since_first_view: int, state: TargetState | None = None) -> float:
    platform = Platform()
    platform.typical["minutes"] = TYPICAL
    window = WindowView(key_of(2, "v"), state or TargetState(), MINUTES, 0, Crowd(n=20), platform, platform, Outcome())
    window.windows_since_first_view = windows_since_first_view
    expect(window)
    return window.x[f.EXPECTED] / platform.season(MINUTES, 0)


def test_without_any_event_the_rule_of_three_bounds_the_rate() -> None:
    assert expected(0) == pytest.approx(TYPICAL)
    assert expected(600) == pytest.approx(max(0.05, RULE_OF_THREE / 600))


def test_a_few_empty_windows_change_nothing() -> None:
    assert expected(2) == pytest.approx(TYPICAL)


def test_one_window_with_events_is_averaged_over_the_empty_ones() -> None:
    once = TargetState(levels={"minutes": Level(mean=30.0, windows=1)})
    assert expected(0, once) == pytest.approx(30.0)
    assert expected(300, once) == pytest.approx(0.1)


def test_empty_windows_are_counted_from_the_targets_first_view() -> None:
    watches = MemoryTargetStates()
    other_metrics = OtherMetrics(watches, [Platform()], SCALES)
    start = 1_000 * MINUTES.span_ms
    assert other_metrics.windows_since_first_view(key_of(2, "v"), MINUTES, start) == 0
    watches.change(key_of(VIEW, "v")).levels["minutes"] = Level(windows=40, last_start=start - 11 * MINUTES.span_ms)
    assert other_metrics.windows_since_first_view(key_of(2, "v"), MINUTES, start) == 50
    assert other_metrics.windows_since_first_view(key_of(VIEW, "v"), MINUTES, start) == 0


def loneliness(beside: int, *, emitted_at_start: bool = True) -> WindowView:
    """A crowd of follows of a target without views; of 100 earlier follows, ``beside`` were of viewed targets."""
    platform = Platform()
    platform.rates.learn("hour", [(50.0, 2, 1)] * 20)
    platform.rates.learn_acts_on_viewed(2, 100, beside)
    platform.rates.learn_viewers("minutes", 2, 100, 100.0 if emitted_at_start else 60.0)
    platform.rates.learn_viewers("hour", 2, 100, 100.0)
    window = WindowView(
        key_of(2, "v"), TargetState(), MINUTES, 0, Crowd(n=20), platform, platform, Outcome(), rates=platform.rates
    )
    window.other_counts = 0, 0, 20
    fold(window.crowd, [(2 * n, n, -1, -1, -1, -1, -1) for n in range(20)])
    expect(window)
    measure_all([window])
    return window


def test_follows_without_views_are_a_finding_if_followers_usually_view() -> None:
    window = loneliness(beside=100)
    assert window.x[f.LONELY] == 1.0
    assert [finding.code for finding in Engagement().findings(window.x)] == ["no_views"]


def test_they_are_none_if_follows_and_views_are_of_different_targets() -> None:
    assert Engagement().findings(loneliness(beside=0).x) == []


def test_without_earlier_follows_there_is_no_usual_share_without_views() -> None:
    platform = Platform()
    platform.rates.learn("hour", [(50.0, 2, 1)] * 20)
    assert platform.rates.usually_lonely(2) is None
    platform.rates.learn_acts_on_viewed(2, 10, 10)
    assert platform.rates.usually_lonely(2) is None


def test_if_views_are_emitted_at_their_end_earlier_follows_are_no_evidence() -> None:
    assert f.LONELY not in loneliness(beside=100, emitted_at_start=False).x


def liked(*, emitted_at_start: bool = True, **given: object) -> WindowView:
    """Forty likes without viewers, in a closed hour, of a target that is viewed every hour."""
    hour, platform = SCALES[2], Platform()
    platform.rates.learn("hour", [(50.0, 2, 1)] * 20)
    platform.rates.learn_acts_on_viewed(1, 100, 100)
    platform.rates.learn_viewers("minutes", 1, 200, 198.0 if emitted_at_start else 120.0)
    platform.rates.learn_viewers("hour", 1, 200, 198.0)
    window = WindowView(
        key_of(1, "v"), TargetState(), hour, 0, Crowd(n=40), platform, platform, Outcome(), rates=platform.rates
    )
    window.other_counts, window.windows_since_first_view, window.all_views_emitted = (0, 40, 0), 12, True
    for name, value in given.items():
        setattr(window, name, value)
    fold(window.crowd, [(2 * n, n, -1, -1, -1, -1, -1) for n in range(40)])
    expect(window)
    measure_all([window])
    return window


def test_viewed_first_is_given_if_all_views_are_emitted() -> None:
    assert liked().x[f.VIEWED_FIRST] == pytest.approx(0.99)


@pytest.mark.parametrize("given", [{"all_views_emitted": False}, {"windows_since_first_view": 2}])
def test_viewed_first_is_absent_if_views_are_missing_or_the_target_is_new(given: dict[str, Any]) -> None:
    assert f.VIEWED_FIRST not in liked(**given).x


@pytest.mark.parametrize("longest_ms", [0, 20 * MINUTE_MS, 30 * MINUTE_MS])
def test_at_the_end_of_an_hour_likes_without_views_are_evidence_if_views_have_ended_by_then(longest_ms: int) -> None:
    assert liked(emitted_at_start=False, longest_view_ms=longest_ms).x[f.LONELY] == 1.0


def test_likes_of_a_long_film_have_no_views_yet_at_the_end_of_an_hour() -> None:
    assert f.LONELY not in liked(emitted_at_start=False, longest_view_ms=HOUR_MS).x
    assert liked(longest_view_ms=HOUR_MS).x[f.LONELY] == 1.0


def test_the_length_of_views_is_that_of_folded_and_of_pending_rows() -> None:
    state = TargetState()
    assert longest_view_ms(watch_buckets_of(None)) == longest_view_ms(watch_buckets_of(state)) == 0
    state.open["hour"], state.open["day"] = Crowd(), Crowd()
    state.open["hour"].take(b"".join(pack_row(2, 1, -1, -1, -1, -1, watch) for watch in (-1, 27)))
    assert longest_view_ms(watch_buckets_of(state)) == HOUR_MS
    fold(state.open["day"], [(2 * n, n, -1, -1, -1, -1, 20) for n in range(2)])
    assert longest_view_ms(watch_buckets_of(state)) == 20 * MINUTE_MS


def surging(starts: list[int], scale: int = 1) -> WindowView:
    """The last of several windows, all of which surge."""
    state, platform = TargetState(), Platform()
    windows = [
        WindowView(key_of(VIEW, "v"), state, SCALES[scale], start, Crowd(n=20), platform, platform, Outcome())
        for start in starts
    ]
    for window in windows:
        window.note_surge(5.0)
    return windows[-1]


def test_a_crowd_is_as_old_as_its_surge_and_one_after_a_pause_is_another() -> None:
    five = MINUTES.span_ms
    assert surging([0]).age_ms() == 10_000
    assert surging([0, five, 2 * five]).age_ms() == 2 * five + 10_000
    assert surging([0, five, 3 * five]).age_ms() == 10_000


def test_what_comes_slowly_is_as_old_as_the_first_hour_that_surged() -> None:
    hour = SCALES[2].span_ms
    assert surging([0, hour, 2 * hour], scale=2).age_ms() == 2 * hour + 10_000
    assert surging([0, 2 * hour], scale=2).age_ms() == 10_000


@pytest.mark.parametrize("at_once", [True, False])
def test_early_leavers_of_a_new_hit_are_no_evidence_if_views_are_emitted_at_their_end(*, at_once: bool) -> None:
    platform = Platform()
    platform.mixes["watch"].learn(np.repeat(np.arange(8, 16), 100), np.ones(800))
    platform.rates.learn_viewers("minutes", 1, 100, 99.0 if at_once else 55.0)
    platform.rates.learn_viewers("hour", 1, 100, 99.0)
    window = WindowView(
        key_of(VIEW, "v"), TargetState(), MINUTES, 0, Crowd(), platform, platform, Outcome(), early_at_ms=60_000
    )
    fold(window.crowd, [(2 * n, n, -1, -1, -1, -1, 8 + n % 2) for n in range(40)])
    window.note_surge(5.0)
    expect(window)
    measure_all([window])
    assert window.x[f.WATCH] > 0.5 if at_once else window.x[f.WATCH] == 0.0
