"""Limits what a window that began before its case adds to the case.

An hour or a day is judged as a whole, and a case may have begun in it. Shorter windows judged the events before the
case, and found nothing. If bots join an honest hit, the hour is convicted by the bots alone, and its estimate would
include the hit. So these events count as artificial only if they would be convicted without those that the case has.
"""

from __future__ import annotations

from detectors.measurement.window_view import WindowView
from detectors.thresholds import Thresholds
from detectors.verdict.crowd import crowd_score
from detectors.verdict.evidence import Models, WindowEvidence
from detectors.verdict.opinion import Opinion


def limit_to_case(
    window: WindowView, view: Opinion, found: WindowEvidence, models: Models, limits: Thresholds
) -> Opinion:
    """The opinion on a window, limited to the events of its case if the rest is not convicted by itself."""
    case, crowd = window.target_state.case, window.crowd
    if view.verdict is None or case is None or window.start >= case.onset or not 0 < crowd.cased < crowd.n:
        return view
    evidence = {name: of_rest(pair, crowd.cased, crowd.n) for name, pair in found.evidence.items()}
    rented = of_rest(found.rented, crowd.cased, crowd.n)
    if evidence and crowd_score(found.x, evidence, rented, models) >= limits.suspect_score:
        return view
    most = float(crowd.cased)
    view.artificial, view.high = min(view.artificial, most), min(view.high, most)
    view.low = min(view.low, view.artificial)
    if view.certain_artificial is not None:
        view.certain_artificial = min(view.certain_artificial, most)
    view.of_case_only = True
    return view


def of_rest(found: tuple[float, float], cased: int, count: int) -> tuple[float, float]:
    """Score and share of evidence about ``count`` events, for the rest of them if it applies to all ``cased`` ones.

    >>> of_rest((3.0, 0.5), 40, 80), of_rest((3.0, 0.75), 40, 80), of_rest((3.0, 0.25), 40, 80)
    ((3.0, 0.0), (3.0, 0.5), (3.0, 0.0))
    """
    score, share = found
    return score, max(0.0, share * count - cased) / (count - cased)
