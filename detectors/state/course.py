"""The course of an incident for the flag's chart: observed and expected events, in at most 60 points."""

from __future__ import annotations

import msgspec

POINTS_MAX = 60
"""Above this, neighbouring points are merged in pairs, and later windows are merged to the same width. From then on
there are never fewer than half as many points. The first point is never merged: a case may begin with a window of
minutes and continue in ticks."""


class Point(msgspec.Struct, array_like=True):
    """A span of time: start (epoch ms), length (ms), observed and expected events."""

    start: int
    span: int
    observed: int
    expected: float


def put(series: list[Point], point: Point) -> None:
    """Add a window. A window with the start of the last one replaces it; one inside the last one is ignored.

    >>> course = [Point(0, 10, 3, 1.0)]
    >>> put(course, Point(0, 10, 5, 1.0)); put(course, Point(5, 5, 9, 1.0)); put(course, Point(30, 10, 2, 1.0))
    >>> [(p.start, p.span, p.observed) for p in course]
    [(0, 10, 5), (10, 20, 0), (30, 10, 2)]
    """
    if not series:
        series.append(point)
        return
    last, width = series[-1], min((inner.span for inner in series[1:-1]), default=0)
    end = last.start + last.span
    if point.start == last.start and point.span >= last.span:
        series[-1] = point
    elif point.start >= end:
        silent = point.start - end
        if silent:
            _append(series, Point(end, silent, 0, point.expected * silent / point.span), width)
        _append(series, point, width)
    if len(series) > POINTS_MAX:
        series[1:] = [_joined(series[at : at + 2]) for at in range(1, len(series), 2)]


def _append(series: list[Point], point: Point, width: int) -> None:
    last = series[-1]
    if len(series) > POINTS_MAX // 2 and last.span + point.span <= width:
        series[-1] = _joined([last, point])
    else:
        series.append(point)


def _joined(points: list[Point]) -> Point:
    return Point(
        points[0].start,
        points[-1].start + points[-1].span - points[0].start,
        sum(point.observed for point in points),
        sum(point.expected for point in points),
    )
