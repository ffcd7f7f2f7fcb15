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
