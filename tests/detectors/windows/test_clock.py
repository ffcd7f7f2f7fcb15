"""A partition's time is the least of its live sources', and never goes back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from detectors.windows.clock import EventClock, SourceTime

TWO = {"views": 2}


def _source_time(watermark: int, *, next_offset: int = 0, idle: bool = False) -> SourceTime:
    return SourceTime(next_offset, watermark, idle)


@given(st.lists(st.tuples(st.sampled_from(["views/0", "views/1", "likes/0"]), st.integers(-1, 1000), st.booleans())))
def test_it_never_goes_back(words: list[tuple[str, int, bool]]) -> None:
    clock, before = EventClock(), -1
    for source, watermark, idle in words:
        now = clock.update_source(source, _source_time(watermark, idle=idle), {"views": 2, "likes": 1})
        assert now >= before
        assert now == clock.now
        before = now


def test_it_stands_until_every_source_of_the_roster_was_heard() -> None:
    clock = EventClock()
    assert clock.update_source("views/0", _source_time(500), TWO) == -1
    assert clock.update_source("views/1", _source_time(400), TWO) == 400


def test_it_follows_the_slowest_live_source() -> None:
    clock = EventClock()
    clock.update_source("views/0", _source_time(500), TWO)
    clock.update_source("views/1", _source_time(400), TWO)
    assert clock.update_source("views/0", _source_time(900), TWO) == 400
    assert clock.update_source("views/1", _source_time(700), TWO) == 700


def test_nobody_waits_for_an_idle_source_until_it_speaks_again() -> None:
    clock = EventClock()
    clock.update_source("views/0", _source_time(500), TWO)
    assert clock.update_source("views/1", _source_time(100, idle=True), TWO) == 500
    assert clock.update_source("views/1", _source_time(200), TWO) == 500
    assert clock.update_source("views/0", _source_time(900), TWO) == 500


def test_when_all_are_idle_it_is_the_latest_of_what_they_said() -> None:
    clock = EventClock()
    clock.update_source("views/0", _source_time(500, idle=True), TWO)
    assert clock.update_source("views/1", _source_time(800, idle=True), TWO) == 800


def test_a_source_that_repeats_itself_takes_nothing_back() -> None:
    clock = EventClock()
    clock.update_source("views/0", _source_time(500, next_offset=90), {"views": 1})
    clock.update_source("views/0", _source_time(300, next_offset=40), {"views": 1})
    assert clock.sources["views/0"] == _source_time(500, next_offset=90)


def test_a_topic_that_grows_holds_time_until_the_new_partition_was_heard() -> None:
    clock = EventClock()
    assert clock.update_source("views/0", _source_time(500), {"views": 1}) == 500
    assert clock.update_source("views/0", _source_time(900), TWO) == 500
    assert clock.update_source("views/1", _source_time(700), TWO) == 700


def test_a_topic_that_is_no_longer_read_holds_time_no_longer() -> None:
    clock = EventClock()
    clock.update_source("views/0", _source_time(500), {"views": 1, "likes": 1})
    clock.update_source("likes/0", _source_time(100), {"views": 1, "likes": 1})
    assert clock.update_source("views/0", _source_time(600), {"views": 1}) == 600


def test_what_a_source_has_told_outlives_the_older_roster_of_another() -> None:
    """While a topic grows, workers may disagree about it: redelivered frames must still be known."""
    clock = EventClock()
    clock.update_source("views/1", _source_time(500, next_offset=90), TWO)
    clock.update_source("views/0", _source_time(500), {"views": 1})
    assert clock.sources["views/1"].next_offset == 90
