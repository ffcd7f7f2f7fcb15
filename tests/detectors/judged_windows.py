"""Windows of one target as they come before the judge, in numbers: what came and what was expected."""

from __future__ import annotations

from detectors.cases.flags import Flags
from detectors.features import names as f
from detectors.measurement.window_view import Look
from detectors.platform.platform import Platform
from detectors.records import Outcome
from detectors.state.case import ARTIFICIAL
from detectors.state.watched import Watched
from detectors.verdict.opinion import Opinion
from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY_MS, Scale, ladder

KEY = "0v"
SCALES = ladder(10)
TICK, MINUTES, HOUR, DAY = SCALES
START_MS = 10_000 * DAY_MS
"""Start of a window of every scale."""


def flags() -> Flags:
    """What makes flags of partition 0."""
    return Flags(partition=0, config="sha256:test")


def window(
    watched: Watched,
    *,
    count: int,
    expected: float,
    number: int = 0,
    people: int = 100,
    crowd: Crowd | None = None,
    early_at: int = -1,
    key: str = KEY,
    scale: Scale = MINUTES,
) -> Look:
    """The ``number``-th window of a scale since START_MS."""
    platform, start = Platform(), START_MS + number * scale.span_ms
    seen = Crowd(start=start, n=count) if crowd is None else crowd
    seen.n = count
    look = Look(key, watched, scale, start, seen, platform, platform, Outcome(), early_at=early_at)
    look.x = {f.COUNT: float(count), f.EXPECTED: expected, f.DISPERSION: 50.0, f.PEOPLE: float(people)}
    return look


def verdict(artificial: float, *, verdict: str | None = ARTIFICIAL, surge: float = 20.0, crowd: float = 6.0) -> Opinion:
    """What a judge finds in a window, by its own evidence."""
    return Opinion(verdict, surge, crowd, [], artificial, artificial, artificial, own=True)


def ordinary_crowd(*, surge: float = 20.0) -> Opinion:
    """What a judge finds in a window that surges and whose crowd is the platform's own."""
    return Opinion(None, surge, 0.5, [], 0.0, 0.0, 0.0)
