"""The course of an incident stays small, in order, and adds up."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from detectors.state.course import POINTS_MAX, Point, put

steps = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 100)), min_size=1, max_size=400)


@given(steps=steps, first=st.sampled_from([10, 300]))
def test_however_many_windows_come_no_event_and_no_moment_is_lost(steps: list[tuple[int, int]], first: int) -> None:
    series = [Point(0, first, 7, 1.0)]
    at, sent = first, 7
    for gap, observed in steps:
        at += 10 * gap
        put(series, Point(at, 10, observed, 0.5))
        at, sent = at + 10, sent + observed
    assert len(series) <= POINTS_MAX
    assert all(one.start + one.span == other.start for one, other in pairwise(series))
    assert (series[0].start, series[-1].start + series[-1].span) == (0, at)
    assert sum(point.observed for point in series) == sent


def test_what_follows_a_wide_first_window_is_as_fine_as_it_comes() -> None:
    series = [Point(0, 300, 20, 1.0)]
    for tick in range(50):
        put(series, Point(300 + 10 * tick, 10, 3, 0.1))
    assert [point.span for point in series] == [300] + [10] * 50


def test_a_window_that_grows_replaces_itself_and_one_in_another_is_left_out() -> None:
    series: list[Point] = []
    put(series, Point(0, 300, 20, 1.0))
    put(series, Point(100, 10, 5, 0.1))
    put(series, Point(0, 300, 90, 1.0))
    assert series == [Point(0, 300, 90, 1.0)]


def test_beyond_sixty_points_the_course_is_half_as_fine_and_stays_so() -> None:
    series = [Point(0, 300, 20, 1.0)]
    spans = []
    for tick in range(180):
        put(series, Point(300 + 10 * tick, 10, 3, 0.1))
        spans.append([point.span for point in series])
    assert spans[58] == [300] + [10] * 59
    assert spans[59] == [300] + [20] * 30
    assert spans[60] == [300] + [20] * 30 + [10]
    assert spans[61] == [300] + [20] * 31
    assert spans[119] == [300] + [40] * 30
    assert spans[122] == [300] + [40] * 30 + [30]
    assert spans[123] == [300] + [40] * 31
    assert spans[124] == [300] + [40] * 31 + [10]


def test_silence_is_a_point_in_which_nothing_came_of_what_was_expected() -> None:
    series = [Point(0, 10, 3, 1.0), Point(10, 10, 4, 1.0)]
    put(series, Point(50, 10, 5, 1.5))
    assert series[2:] == [Point(20, 30, 0, 4.5), Point(50, 10, 5, 1.5)]


def test_a_silence_does_not_make_what_follows_coarser() -> None:
    """A long one is one wide point, which is not the width of the windows."""
    series = [Point(0, 300, 20, 1.0)]
    for tick in range(30, 50):
        put(series, Point(300 + 10 * tick, 10, 3, 0.1))
    assert [point.span for point in series] == [300, 300] + [10] * 20


def test_in_a_course_that_was_merged_the_narrowest_point_is_the_width() -> None:
    series = [Point(0, 300, 20, 1.0)]
    for tick in range(62):
        put(series, Point(300 + 10 * tick, 10, 3, 0.1))
    put(series, Point(320 + 10 * 62 + 280, 10, 3, 0.1))
    put(series, Point(320 + 10 * 62 + 290, 10, 3, 0.1))
    put(series, Point(320 + 10 * 62 + 300, 10, 3, 0.1))
    assert [point.span for point in series] == [300] + [20] * 31 + [300, 20, 10]
