"""Opinion on a window by its own evidence: of two kinds, or of one kind where that is overwhelming.

An hour or a day is judged as a whole, and a case may have begun in it. Shorter windows judged the events before the
case, and found nothing. If bots join an honest hit, the hour is convicted by the bots alone, and its estimate would
include the hit. So these events count as artificial only if they would be convicted without those that the case has.
"""

from __future__ import annotations

from detectors.catalog.registry import SURGE
from detectors.events.key import is_view
from detectors.measurement.window_view import WindowView
from detectors.thresholds import Thresholds
from detectors.verdict.alone import ALONE, alone_opinion, conduct_is_seen, overwhelming
from detectors.verdict.crowd import crowd_score
from detectors.verdict.evidence import Models, WindowEvidence
from detectors.verdict.marked_share import estimate
from detectors.verdict.opinion import Opinion, opinion
from detectors.verdict.repeated_tests import limit_false_discoveries


def window_opinion(
    window: WindowView, found: WindowEvidence, limits: Thresholds, *, models: Models, settles: bool
) -> Opinion:
    """The opinion on a window by its own evidence, within the bound of false discoveries.

    ``settles`` is whether overwhelming evidence of one kind may open a case, which the conduct of the accounts settles.
    """
    case = window.target_state.case
    score = crowd_score(found.x, found.evidence, found.rented, models) if found.evidence else 0.0
    marks, marked = estimate(window, found.findings, convicted=score >= limits.suspect_score)
    view = opinion(
        found.x,
        (window.surge, score),
        (window.platform.detectors_of(window.scale)[SURGE].findings(found.x), found.findings),
        case=case,
        already=window.crowd.quarantined,
        limits=limits,
        marked=marked,
    )
    view.marks = marks
    view = limit_to_case(window, view, found, models, limits)
    if settles:
        view = _or_alone(window, found, view, limits)
    return limit_false_discoveries(window, view, limits) if case is None else view


def _or_alone(window: WindowView, found: WindowEvidence, view: Opinion, limits: Thresholds) -> Opinion:
    """The opinion by evidence of one kind, if that is overwhelming and nothing else decides."""
    one = None if view.own_evidence else overwhelming(found.findings, limits)
    if one is None or conduct_is_seen(found.x) or is_view(window.key):
        return view
    same_kind = [finding for finding in found.findings if finding.code in ALONE]
    marks, marked = estimate(window, same_kind, convicted=True)
    alone = alone_opinion(
        found.x,
        (view.surge, window.platform.detectors_of(window.scale)[SURGE].findings(found.x)),
        one,
        case=window.target_state.case,
        already=window.crowd.quarantined,
        limits=limits,
        marked=marked,
    )
    if alone is None:
        return view
    alone.marks = marks
    return alone


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
