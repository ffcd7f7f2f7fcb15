"""A partition's time is the least of its live sources', and never goes back."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from detectors.windows.clock import GIVE_UP_MS, EventClock, SourceTime

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


class Reports:
    """Sources that report twice a second of wall time."""

    def __init__(self) -> None:
        self.clock = EventClock()
        self.written_ms = 1_700_000_000_000

    def go(self, seconds: float, **watermarks: int | None) -> int:
        """Each source reports its watermark for this long; None is an idle source. They advance with the wall clock."""
        for _ in range(round(2 * seconds)):
            self.written_ms += 500
            for source, watermark in watermarks.items():
                name = source.replace("_", "/")
                time = -1 if watermark is None else watermark
                reported = SourceTime(0, time, watermark is None, written_ms=self.written_ms)
                self.clock.update_source(name, reported, TWO)
        return self.clock.now


def test_an_idle_source_that_nobody_reads_is_waited_for() -> None:
    """Its worker was killed. The first frame of its next owner says whether it is idle."""
    reports = Reports()
    assert reports.go(20, views_0=500, views_1=None) == 500
    assert reports.go(6, views_0=600) == 600
    assert reports.go(10, views_0=900) == 600, "its last report is too old"
    assert reports.go(1, views_1=650) == 650
    assert reports.go(1, views_0=900, views_1=None) == 900


def test_after_an_outage_of_all_each_source_must_report_before_time_goes_on() -> None:
    reports = Reports()
    reports.go(20, views_0=500, views_1=None)
    reports.written_ms += 3_600_000
    assert reports.go(0.5, views_0=900) == 500
    assert reports.go(0.5, views_1=700) == 700


def test_a_source_that_nobody_reads_does_not_stop_time_for_ever() -> None:
    reports = Reports()
    reports.go(20, views_0=500, views_1=400)
    assert reports.go(GIVE_UP_MS / 1000, views_0=900) == 400
    assert reports.go(1, views_0=901) == 901


def test_an_outage_of_all_gives_no_source_up_however_long_it_was() -> None:
    reports = Reports()
    reports.go(20, views_0=500, views_1=400)
    reports.written_ms += 2 * GIVE_UP_MS
    assert reports.go(60, views_0=900) == 400


def test_workers_whose_clocks_differ_hear_each_other() -> None:
    clock, slow_ms = EventClock(), -60_000
    for half_second in range(600):
        written = 1_700_000_000_000 + 500 * half_second
        clock.update_source("views/0", SourceTime(0, half_second, False, written_ms=written), TWO)
        clock.update_source("views/1", SourceTime(0, -1, True, written_ms=written + slow_ms), TWO)
    assert clock.now == 599


@given(
    st.lists(
        st.tuples(st.sampled_from(["views/0", "views/1"]), st.integers(-1, 1000), st.booleans(), st.integers(0, 40)),
        max_size=40,
    ),
    st.integers(0, 40),
)
def test_a_clock_that_is_restored_goes_on_as_if_it_had_not_stopped(
    reports: list[tuple[str, int, bool, int]], stop: int
) -> None:
    """The times of reports go forth and back: clocks of workers differ."""
    through, restored = EventClock(), EventClock()
    for number, (source, watermark, idle, seconds) in enumerate(reports):
        written = 1_700_000_000_000 + 1000 * seconds if seconds else 0
        for clock in (through, restored):
            clock.update_source(source, SourceTime(number, watermark, idle, written_ms=written), TWO)
        if number == stop:
            state = msgspec.msgpack.encode(restored.sources)
            now, restored = restored.now, EventClock()
            restored.restore(now, msgspec.msgpack.decode(state, type=dict[str, SourceTime]), TWO)
        assert restored.now == through.now
