"""The verdict on a window by its lockstep band alone."""

from __future__ import annotations

import math

from detectors.features import names as f
from detectors.features.names import Features
from detectors.scoring.normal import TWO_SIDED_95
from detectors.state.case import ARTIFICIAL, SUSPECT, Case
from detectors.thresholds import Thresholds
from detectors.verdict.opinion import Opinion

BAND_EVENTS_MIN = 3
"""Events of a band under which there is nothing to correct. Few are enough: it is known whose they are."""

DEARER_SUSPECT, DEARER_ARTIFICIAL = 1.0, 2.0
"""-log10 p by which a band must be rarer than another crowd, because it needs no surge beside it, and because tastes
that people share make chance greater than the model's."""


def band_opinion(x: Features, surge: float, *, case: Case | None, already: int, limits: Thresholds) -> Opinion | None:
    """What a band alone says of a window: it was beyond chance that they met so often, and here they are again.

    It needs no surge of its own, since it says of the very events whose they are; but no more is taken than the window
    has beyond what is usual. Where owners or networks are not told, fans of one channel and a class behind one address
    cannot be told from a band: ``suspect``, which is given back.
    """
    count, expected = x[f.COUNT], x[f.EXPECTED]
    share, score = x[f.BAND], x[f.BAND_SCORE]
    artificial = min(count - expected, share * count)
    if (
        share < limits.artificial_share
        or artificial - already < BAND_EVENTS_MIN
        or score < limits.suspect_score + DEARER_SUSPECT
    ):
        return None
    sure = score >= limits.artificial_score + DEARER_ARTIFICIAL and x[f.BAND_KNOWN] > 0.0
    noise = TWO_SIDED_95 * math.sqrt(expected)
    return Opinion(
        verdict=ARTIFICIAL if sure or (case is not None and case.verdict == ARTIFICIAL) else SUSPECT,
        surge=surge,
        crowd=score,
        findings=[],
        artificial=artificial,
        low=max(0.0, artificial - noise),
        high=min(share * count, artificial + noise),
        own=True,
    )
