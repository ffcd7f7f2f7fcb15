"""What a window is expected to hold: what the target's own past says, and what its silence says."""

from __future__ import annotations

import pytest

from detectors.catalog.engagement import Engagement
from detectors.events.key import VIEW, key_of
from detectors.features import names as f
from detectors.measurement.expectation import RULE_OF_THREE
from detectors.measurement.other_metrics import OtherMetrics
from detectors.measurement.window_view import WindowView
from detectors.platform.platform import Platform
from detectors.records import Outcome
from detectors.state.level import Level
from detectors.state.target_state import TargetState
from detectors.state.target_states import MemoryTargetStates
from detectors.windows.crowd import Crowd
from detectors.windows.scales import ladder
from tests.crowds import fold

SCALES = ladder(10)
MINUTES = SCALES[1]
TYPICAL = 6.0


def expected(silence: int, watched: TargetState | None = None) -> float:
    platform = Platform()
    platform.typical["minutes"] = TYPICAL
    look = WindowView(key_of(2, "v"), watched or TargetState(), MINUTES, 0, Crowd(n=20), platform, platform, Outcome())
    look.silence = silence
    look.expect()
    return look.x[f.EXPECTED] / platform.season(MINUTES, 0)


def test_of_what_never_came_the_rule_of_three_says_how_often_it_may() -> None:
    assert expected(0) == pytest.approx(TYPICAL)
    assert expected(600) == pytest.approx(max(0.05, RULE_OF_THREE / 600))


def test_a_silence_of_a_few_windows_says_nothing() -> None:
    assert expected(2) == pytest.approx(TYPICAL)


def test_what_came_once_is_spread_over_the_silence_around_it() -> None:
    once = TargetState(levels={"minutes": Level(mean=30.0, windows=1)})
    assert expected(0, once) == pytest.approx(30.0)
    assert expected(300, once) == pytest.approx(0.1)


def test_silence_is_counted_from_the_targets_first_view() -> None:
    watches = MemoryTargetStates()
    peers = OtherMetrics(watches, [Platform()], SCALES)
    start = 1_000 * MINUTES.span_ms
    assert peers.silence(key_of(2, "v"), MINUTES, start) == 0
    watches.change(key_of(VIEW, "v")).levels["minutes"] = Level(windows=40, last_start=start - 11 * MINUTES.span_ms)
    assert peers.silence(key_of(2, "v"), MINUTES, start) == 50
    assert peers.silence(key_of(VIEW, "v"), MINUTES, start) == 0


def loneliness(beside: int, *, emitted_at_start: bool = True) -> WindowView:
    """A crowd of follows of something without views, after a hundred of which so many stood beside views."""
    platform = Platform()
    platform.rates.learn("hour", [(50.0, 2, 1)] * 20)
    platform.rates.learn_acts_on_viewed(2, 100, beside)
    platform.rates.learn_viewers("minutes", 2, 100, 100.0 if emitted_at_start else 60.0)
    platform.rates.learn_viewers("hour", 2, 100, 100.0)
    look = WindowView(
        key_of(2, "v"), TargetState(), MINUTES, 0, Crowd(n=20), platform, platform, Outcome(), rates=platform.rates
    )
    look.peers = 0, 0, 20
    fold(look.crowd, [(2 * n, n, -1, -1, -1, -1, -1) for n in range(20)])
    look.expect()
    look.measure()
    return look


def test_followers_who_did_not_view_are_odd_where_followers_do() -> None:
    look = loneliness(beside=100)
    assert look.x[f.LONELY] == 1.0
    assert [finding.code for finding in Engagement().findings(look.x)] == ["no_views"]


def test_they_are_not_where_follows_are_of_other_things_than_views() -> None:
    assert Engagement().findings(loneliness(beside=0).x) == []


def test_while_no_follow_was_seen_nothing_is_held_against_one_without_views() -> None:
    platform = Platform()
    platform.rates.learn("hour", [(50.0, 2, 1)] * 20)
    assert platform.rates.usually_lonely(2) is None
    platform.rates.learn_acts_on_viewed(2, 10, 10)
    assert platform.rates.usually_lonely(2) is None


def test_where_views_are_told_when_they_end_nobody_is_odd_who_follows_before() -> None:
    assert f.LONELY not in loneliness(beside=100, emitted_at_start=False).x


def liked(**given: object) -> WindowView:
    """Forty likes by nobody who viewed, in an hour that is over, of a target that is viewed every hour."""
    hour, platform = SCALES[2], Platform()
    platform.rates.learn("hour", [(50.0, 2, 1)] * 20)
    platform.rates.learn_acts_on_viewed(1, 100, 100)
    for scale in ("minutes", "hour"):
        platform.rates.learn_viewers(scale, 1, 200, 198.0)
    look = WindowView(
        key_of(1, "v"), TargetState(), hour, 0, Crowd(n=40), platform, platform, Outcome(), rates=platform.rates
    )
    look.peers, look.silence, look.every_view = (0, 40, 0), 12, True
    for name, value in given.items():
        setattr(look, name, value)
    fold(look.crowd, [(2 * n, n, -1, -1, -1, -1, -1) for n in range(40)])
    look.expect()
    look.measure()
    return look


def test_likes_without_views_are_unheard_of_where_every_view_is_told() -> None:
    assert liked().x[f.VIEWED_FIRST] == pytest.approx(0.99)


@pytest.mark.parametrize("given", [{"every_view": False}, {"silence": 2}])
def test_they_are_not_where_views_are_missing_or_the_target_is_new(given: dict[str, object]) -> None:
    assert f.VIEWED_FIRST not in liked(**given).x


def surging(starts: list[int], scale: int = 1) -> WindowView:
    """The last of several windows, all of which surge."""
    watched, platform = TargetState(), Platform()
    looks = [
        WindowView(key_of(VIEW, "v"), watched, SCALES[scale], start, Crowd(n=20), platform, platform, Outcome())
        for start in starts
    ]
    for look in looks:
        look.note_surge(5.0)
    return looks[-1]


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
def test_a_hit_that_has_just_begun_leaves_early_where_views_are_told_when_they_end(*, at_once: bool) -> None:
    platform = Platform()
    platform.mixes["watch"].learn_each(tuple([8, 9, 10, 11, 12, 13, 14, 15] * 100))
    platform.rates.learn_viewers("minutes", 1, 100, 99.0 if at_once else 55.0)
    platform.rates.learn_viewers("hour", 1, 100, 99.0)
    look = WindowView(
        key_of(VIEW, "v"), TargetState(), MINUTES, 0, Crowd(), platform, platform, Outcome(), early_at=60_000
    )
    fold(look.crowd, [(2 * n, n, -1, -1, -1, -1, 8 + n % 2) for n in range(40)])
    look.note_surge(5.0)
    look.expect()
    look.measure()
    assert look.x[f.WATCH] > 0.5 if at_once else look.x[f.WATCH] == 0.0
