"""What a window is expected to hold: what the target's own past says, and what its silence says."""

from __future__ import annotations

import pytest

from detectors import features as f
from detectors.baseline import Level
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
