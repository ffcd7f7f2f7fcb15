"""What a target's count is expected to be at one scale, and its interval."""

from __future__ import annotations

import math

from detectors.platform.platform import Platform
from detectors.records import Interval
from detectors.scoring.normal import TWO_SIDED_95
from detectors.state.level import YOUNG_WINDOWS, Level
from detectors.state.target_state import TargetState
from detectors.windows.scales import DAY, DAY_MS, HOUR, HOUR_MS, MINUTES, MINUTES_MS


def spread(expected: float, dispersion: float) -> float:
    """Half width of the 95 % interval of a count."""
    return TWO_SIDED_95 * math.sqrt(expected + expected * expected / dispersion)


def interval_of(expected: float, dispersion: float) -> Interval[float]:
    """The 95 % interval of a count; no count is negative."""
    half = spread(expected, dispersion)
    return Interval(expected, max(0.0, expected - half), expected + half)


EXPECTED_MIN = 0.05
"""Least expectation of a window, in events: keeps ratios finite for targets that were silent."""

RULE_OF_THREE = 3.0
"""What came in none of n windows comes 3 / n times in one at most, with 95 % (Hanley & Lippman-Hand 1983)."""

SHORTER: dict[str, tuple[str, int]] = {
    HOUR: (MINUTES, HOUR_MS // MINUTES_MS),
    DAY: (HOUR, DAY_MS // HOUR_MS),
}
"""Scale → the shorter one that stands in while it is young, and how many of it it has. The parts are neither alike nor
independent; their joint dispersion is taken to grow with the root of their number, between the two."""


def usual_of(watched: TargetState, name: str, platform: Platform, *, silence: int = 0) -> tuple[float, float]:
    """Events that a window of this scale usually has, and their dispersion: the target's own, or while that is young
    no less than the platform's typical or what its shorter windows come to. ``silence`` as of a look."""
    level = watched.levels.get(name) or Level()
    mean, dispersion = level.mean, level.dispersion()
    if level.windows < YOUNG_WINDOWS:
        typical = platform.typical.get(name, 1.0)
        if silence > YOUNG_WINDOWS:  # nothing came where it could have come, which is known as well
            mean *= level.windows / silence
            typical = min(typical, RULE_OF_THREE / silence)
        mean = max(mean, typical)
        shorter = watched.levels.get(SHORTER.get(name, ("", 1))[0])
        if shorter is not None and shorter.windows >= YOUNG_WINDOWS:
            parts = SHORTER[name][1]
            mean, dispersion = max(mean, parts * shorter.mean), shorter.dispersion() * math.sqrt(parts)
    return mean, dispersion
