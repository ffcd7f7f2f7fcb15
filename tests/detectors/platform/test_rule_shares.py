"""What share of the platform's events each rule usually removes."""

from __future__ import annotations

import pytest

from detectors.platform.rule_shares import RuleShares
from detectors.windows.scales import HOUR_MS, MINUTES_MS

WEEK = 168


def shares(*hours: tuple[int, float]) -> RuleShares:
    """Shares that saw so many events in each hour, and so many of them removed."""
    learned = RuleShares()
    for hour, (events, removed) in enumerate(hours):
        learned.note(hour * HOUR_MS, events, {"rate": removed})
    return learned


def test_the_past_and_this_hour_are_one_share_without_what_is_judged() -> None:
    learned = shares((1000, 30.0), (1000, 130.0))
    kept = 0.5 ** (1 / WEEK)
    assert shares((1000, 30.0)).learned("rate", 0) == pytest.approx(0.03)
    assert learned.learned("rate", 100) == pytest.approx((30 * kept**0 + 30) / 1900, rel=0.01)
    assert learned.learned("double_click", 5) == 0.0
    assert RuleShares().learned("rate", 0) == 0.0


def test_what_is_taken_back_is_in_no_share() -> None:
    learned = shares((1000, 30.0), (1000, 130.0))
    learned.take_back("rate", 60, 40)
    assert learned.learned("rate", 0) == pytest.approx(60 / 1900, rel=0.01)
    assert learned.present("v", "rate", 0, 0) == pytest.approx(70 / 940)
    learned.take_back("rate", 1000, 1000)
    assert learned.present("v", "rate", 0, 0) == 0.0


def test_the_past_halves_in_a_week() -> None:
    learned = RuleShares()
    learned.note(0, 1000, {"rate": 100.0})
    learned.note(HOUR_MS, 0, {})
    learned.note((WEEK + 1) * HOUR_MS, 0, {})
    assert learned.past.events == pytest.approx(500)
    assert learned.past.removed["rate"] == pytest.approx(50)


def test_the_present_is_of_other_targets_and_five_minutes_and_without_the_one_that_has_most() -> None:
    learned = RuleShares()
    learned.note(0, 500, {"rate": 300.0})
    for key, removed in (("a", 100), ("b", 150), ("c", 50), ("b", 160)):
        learned.rank("rate", key, removed)
    assert learned.present("b", "rate", 160, 200) == pytest.approx((300 - 160 - 100) / (300 - 100))
    assert learned.present("c", "rate", 50, 100) == pytest.approx((300 - 50 - 160) / (400 - 160))
    assert learned.present("c", "rate", 50, 471) == 0.0
    learned.note(MINUTES_MS, 100, {})
    assert learned.present("c", "rate", 0, 0) == 0.0


@pytest.mark.parametrize(
    ("events", "now", "experienced"),
    [(1000, HOUR_MS, True), (999, HOUR_MS, False), (1000, HOUR_MS - 1, False)],
)
def test_an_hour_and_a_thousand_events_are_needed(events: int, now: int, experienced: bool) -> None:
    assert shares((events, 0.0)).experienced(now) == experienced
