"""What a window is expected to hold: what the target's own past says, and what its silence says."""

from __future__ import annotations

import pytest

from detectors import features as f
from detectors.baseline import Level
from detectors.catalog.engagement import Engagement
from detectors.looking import RULE_OF_THREE, Look
from detectors.peers import Peers
from detectors.platform import Platform
from detectors.records import Outcome
from detectors.watched import Watched, Watches
from detectors.windows import Crowd, ladder

SCALES = ladder(10)
MINUTES = SCALES[1]
TYPICAL = 6.0


def expected(silence: int, watched: Watched | None = None) -> float:
    platform = Platform()
    platform.typical["minutes"] = TYPICAL
    look = Look("2v", watched or Watched(), MINUTES, 0, Crowd(n=20), platform, platform, Outcome())
    look.silence = silence
    look.expect()
    return look.x[f.EXPECTED] / platform.season(MINUTES, 0)


def test_of_what_never_came_the_rule_of_three_says_how_often_it_may() -> None:
    assert expected(0) == pytest.approx(TYPICAL)
    assert expected(600) == pytest.approx(max(0.05, RULE_OF_THREE / 600))


def test_a_silence_of_a_few_windows_says_nothing() -> None:
    assert expected(2) == pytest.approx(TYPICAL)


def test_what_came_once_is_spread_over_the_silence_around_it() -> None:
    once = Watched(levels={"minutes": Level(mean=30.0, windows=1)})
    assert expected(0, once) == pytest.approx(30.0)
    assert expected(300, once) == pytest.approx(0.1)


def test_silence_is_counted_from_the_targets_first_view() -> None:
    watches = Watches()
    peers = Peers(watches, [Platform()], SCALES)
    start = 1_000 * MINUTES.span_ms
    assert peers.silence("2v", MINUTES, start) == 0
    watches.change("0v").levels["minutes"] = Level(windows=40, last_start=start - 11 * MINUTES.span_ms)
    assert peers.silence("2v", MINUTES, start) == 50
    assert peers.silence("0v", MINUTES, start) == 0


def loneliness(beside: int) -> Look:
    """A crowd of follows of something without views, after a hundred of which so many stood beside views."""
    platform = Platform()
    platform.rates.learn("hour", [(50.0, 2, 1)] * 20)
    platform.rates.learn_beside(2, 100, beside)
    look = Look("2v", Watched(), MINUTES, 0, Crowd(n=20), platform, platform, Outcome(), rates=platform.rates)
    look.peers = 0, 0, 20
    look.crowd.fold([(2 * n, n, -1, -1, -1, -1, -1) for n in range(20)])
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
    platform.rates.learn_beside(2, 10, 10)
    assert platform.rates.usually_lonely(2) is None
