"""Closed windows put before the judge: is it worth a look, what was expected, what speaks against it."""

from __future__ import annotations

from detectors.catalog.surge import cusum
from detectors.evidence import EVENTS_MIN
from detectors.incidents import Incidents
from detectors.judge import EXCESS_MIN, SURGE_SCORE, Opinion, Step, opinion
from detectors.looking import Look
from detectors.platform import Platform
from detectors.watched import Watched
from detectors.windows import Scale

TRAIL_MAX = 360
"""Ticks remembered since the onset of a surge (an hour of ten-second ticks)."""

TICK_FACTOR = 3.0
"""A tick is worth a look from this many times its expectation on (and EXCESS_MIN events)."""

LEARN_CROWD_BELOW = 2.0
"""Crowd score from which a window in a surge teaches nothing: it may be what we are here to find."""


class Cases:
    """The judge's desk of one audit."""

    def __init__(self, scales: tuple[Scale, ...], incidents: Incidents) -> None:
        self._scales = scales
        self._incidents = incidents
        self._tick_ratio = scales[0].span_ms / scales[1].span_ms

    def worth_a_look(self, watched: Watched, count: int, platform: Platform) -> bool:
        """Whether a closed tick must be judged by itself, or can wait for its five minutes."""
        if watched.case is not None:
            return True
        if count < EXCESS_MIN:
            return False
        level = watched.levels.get("minutes")
        usual = level.mean if level is not None else platform.typical.get("minutes", 0.0)
        return watched.cusum > 0.0 or count > TICK_FACTOR * self._tick_ratio * usual

    def look(self, look: Look) -> None:
        """Judge a closed window; learn from it if nothing speaks against it."""
        tick = look.scale.name == "tick"
        if tick:
            look.ratio = self._tick_ratio
        look.expect()
        watched, platform, scale = look.watched, look.platform, look.scale
        surge = crowd_score = 0.0
        view: Opinion | None = None
        measured = look.crowd.n >= EVENTS_MIN
        if measured:
            look.measure()
            surge = platform.detectors_of(scale)["surge"].score_one(look.x)
            if surge >= 1.0 or watched.case is not None:
                composition = platform.composition_of(scale)
                crowd_score = composition.score_one(look.x)
                findings = platform.detectors_of(scale)["surge"].findings(look.x), composition.findings(look.x)
                view = opinion(
                    look.x, (surge, crowd_score), findings, case=watched.case, already=look.crowd.quarantined
                )
        if tick:
            self._follow_onset(look)
        if view is not None and view.verdict is not None:
            self._incidents.act(look, view)
        elif tick and watched.trail:
            watched.trail[-1].quarantined = look.crowd.quarantined
        if not tick:
            unjudged = surge >= SURGE_SCORE and not platform.experienced(scale)
            suspicious = unjudged or (surge >= 1.0 and crowd_score >= LEARN_CROWD_BELOW)
            look.learn(measured=measured, suspicious=suspicious)

    def _follow_onset(self, look: Look) -> None:
        watched = look.watched
        idle = (look.start - watched.cusum_at) // look.scale.span_ms - 1 if watched.cusum_at >= 0 else 0
        watched.cusum = cusum(watched.cusum, idle, look.x)
        watched.cusum_at = look.start
        if watched.cusum <= 0.0:
            watched.trail = []
            return
        crowd = look.crowd
        watched.trail.append(Step(look.start, crowd.n, look.x["expected"], crowd.quarantined, crowd.log_from))
        if len(watched.trail) > TRAIL_MAX:
            del watched.trail[0]
