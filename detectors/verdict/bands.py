"""Verdict on a window from its lockstep band alone."""

from __future__ import annotations

import math

from detectors.catalog.registry import LOCKSTEP, SURGE
from detectors.features import names as f
from detectors.features.names import Features
from detectors.measurement.window_view import WindowView
from detectors.scoring.normal import TWO_SIDED_95
from detectors.state.case import ARTIFICIAL, SUSPECT, Case
from detectors.thresholds import Thresholds
from detectors.verdict.opinion import Opinion

BAND_EVENTS_MIN = 3
"""Least events of a band to correct. It is small because the actors of these events are known."""

EXTRA_SUSPECT_SCORE, EXTRA_ARTIFICIAL_SCORE = 1.0, 2.0
"""Extra -log10 p that a band needs compared with other crowds: it needs no surge, and people with shared tastes meet
more often than the model expects."""


def with_band(window: WindowView, view: Opinion | None, limits: Thresholds) -> Opinion | None:
    """The opinion of a window, or of the band found in it if that has more artificial events."""
    surges = window.platform.detectors_of(window.scale)[SURGE]
    surge = surges.score_one(window.x)
    band = band_opinion(window.x, surge, case=window.target_state.case, already=window.crowd.quarantined, limits=limits)
    if band is None or (view is not None and view.verdict is not None and view.artificial >= band.artificial):
        return view
    band.findings = [*surges.findings(window.x), *window.platform.detector(LOCKSTEP, window.scale).findings(window.x)]
    return band


def band_opinion(x: Features, surge: float, *, case: Case | None, already: int, limits: Thresholds) -> Opinion | None:
    """The opinion on a window from its band, None if the band is too small or too likely by chance.

    No surge is needed, since the band's events are known one by one. The estimate is at most the excess over the
    expected count. If owners or networks are not given, a band looks like fans of one channel or a class behind one
    address. Then the verdict is ``suspect``, whose quarantine is reversed later.
    """
    count, expected = x[f.COUNT], x[f.EXPECTED]
    share, score = x[f.BAND], x[f.BAND_SCORE]
    artificial = min(count - expected, share * count)
    if (
        share < limits.artificial_share
        or artificial - already < BAND_EVENTS_MIN
        or score < limits.suspect_score + EXTRA_SUSPECT_SCORE
    ):
        return None
    certain = score >= limits.artificial_score + EXTRA_ARTIFICIAL_SCORE and x[f.BAND_KNOWN] > 0.0
    noise = TWO_SIDED_95 * math.sqrt(expected)
    return Opinion(
        verdict=ARTIFICIAL if certain or (case is not None and case.verdict == ARTIFICIAL) else SUSPECT,
        surge=surge,
        crowd=score,
        findings=[],
        artificial=artificial,
        low=max(0.0, artificial - noise),
        high=min(share * count, artificial + noise),
        own_evidence=True,
    )
