"""Expected count of a target's window at one scale, and its 95 % interval."""

from __future__ import annotations

import math

from detectors.platform.platform import Platform
from detectors.records import Interval
from detectors.scoring.normal import TWO_SIDED_95
from detectors.state.level import DISPERSION_RANGE, YOUNG_WINDOWS, Level
from detectors.state.target_state import TargetState
from detectors.windows.scales import DAY, DAY_MS, HOUR, HOUR_MS, MINUTES, MINUTES_MS, TICK, Scale


def spread(expected: float, dispersion: float) -> float:
    """Half width of the 95 % interval of a count."""
    return TWO_SIDED_95 * math.sqrt(expected + expected * expected / dispersion)


def interval_of(expected: float, dispersion: float) -> Interval[float]:
    """The 95 % interval of a count; no count is negative."""
    half = spread(expected, dispersion)
    return Interval(expected, max(0.0, expected - half), expected + half)


EXPECTED_MIN = 0.05
"""Least expectation of a window, in events: keeps ratios finite for targets without past events."""

RULE_OF_THREE = 3.0
"""If n windows had no event, the rate per window is at most 3 / n with 95 % confidence (Hanley & Lippman-Hand 1983)."""


def expected_count(
    state: TargetState,
    scale: Scale,
    start_ms: int,
    platform: Platform,
    *,
    ratio: float = 1.0,
    since_first_view: int = 0,
) -> tuple[float, float]:
    """Expected events of a target's window, and their dispersion.

    A tick has no level: it is expected ``ratio`` of five minutes. ``since_first_view`` is as in ``WindowView``.
    """
    name = MINUTES if scale.name == TICK else scale.name
    mean, dispersion = usual_count(state, name, platform, windows_since_first_view=since_first_view)
    return max(EXPECTED_MIN, mean * platform.season(scale, start_ms) * ratio), dispersion


SHORTER: dict[str, tuple[str, int]] = {
    HOUR: (MINUTES, HOUR_MS // MINUTES_MS),
    DAY: (HOUR, DAY_MS // HOUR_MS),
}
"""Scale → the shorter scale that replaces it while it has few windows, and how many shorter windows it spans.

The shorter windows are neither identical nor independent. Their joint dispersion is assumed to grow with the square
root of their number, which is between these two cases."""


def usual_count(
    state: TargetState, name: str, platform: Platform, *, windows_since_first_view: int = 0
) -> tuple[float, float]:
    """Usual events of a target's window at one scale (``usual_mean``), and their dispersion."""
    level = state.levels.get(name)
    if level is not None and level.windows >= YOUNG_WINDOWS:
        return level.mean, level.dispersion()
    mean = usual_mean(state, name, platform, windows_since_first_view=windows_since_first_view)
    shorter, parts = _shorter_level(state, name)
    return mean, DISPERSION_RANGE[0] if shorter is None else shorter.dispersion() * math.sqrt(parts)


def usual_mean(state: TargetState, name: str, platform: Platform, *, windows_since_first_view: int = 0) -> float:
    """Usual events of a target's window at one scale.

    With YOUNG_WINDOWS windows or more it is the target's own level. With fewer it is at least the platform's typical
    count, and at least the sum of the shorter windows. ``windows_since_first_view`` is as in ``WindowView``.
    """
    level = state.levels.get(name)
    mean, windows = (0.0, 0) if level is None else (level.mean, level.windows)
    if windows >= YOUNG_WINDOWS:
        return mean
    typical = platform.typical.get(name, 1.0)
    if windows_since_first_view > YOUNG_WINDOWS:  # the target was viewed, so empty windows are observations too
        mean *= windows / windows_since_first_view
        typical = min(typical, RULE_OF_THREE / windows_since_first_view)
    shorter, parts = _shorter_level(state, name)
    return max(mean, typical) if shorter is None else max(mean, typical, parts * shorter.mean)


def _shorter_level(state: TargetState, name: str) -> tuple[Level | None, int]:
    """The level that replaces a young one, if it has enough windows itself, and how many of its windows one spans."""
    shorter, parts = SHORTER.get(name, ("", 1))
    level = state.levels.get(shorter)
    return (None if level is None or level.windows < YOUNG_WINDOWS else level), parts
