"""The verdict on one window, from its scores and findings."""

from __future__ import annotations

import math

import msgspec

from detectors.catalog.registry import ESTIMATING_CODES
from detectors.features import names as f
from detectors.features.names import Features
from detectors.scoring.detector import Finding
from detectors.scoring.normal import TWO_SIDED_95
from detectors.state.case import ARTIFICIAL, SUSPECT, Case
from detectors.state.marks import Marks
from detectors.thresholds import DEFAULTS, Thresholds
from detectors.verdict.evidence import CREDIBLE_P, MOST
from detectors.verdict.marked_share import EstimatedShare, share_beyond

EVIDENCE_EVENTS_MIN = 1.5
"""Events from which on evidence is of more than one: shares have the usual part taken off, and are seldom whole."""

LEFT_SHARE = 0.25
"""A longer window that holds events of a closed case opens another only if this much more is left unexplained."""

MARKED_DOUBTS = 2.0
"""Standard errors by which a window must have more of an open case's marks than is usual, to go on with the case."""

NO_SHARE = EstimatedShare(0.0, 0.0)


class Opinion(msgspec.Struct):
    """What the judge holds of one window."""

    verdict: str | None
    surge: float
    crowd: float
    findings: list[Finding]
    artificial: float
    low: float
    high: float
    own: bool = False
    """by its own evidence, not only by that of the case it falls into"""
    marks: Marks = msgspec.field(default_factory=Marks)
    """what the evidence points at in this crowd"""
    sure: float | None = None
    """artificial events less the standard error of their share, where that is known: what is taken out of the count"""


def opinion(
    x: Features,
    scores: tuple[float, float],
    findings: tuple[list[Finding], list[Finding]],
    *,
    case: Case | None,
    already: int = 0,
    limits: Thresholds = DEFAULTS,
    marked: EstimatedShare = NO_SHARE,
) -> Opinion:
    """Judge a window by its features, the scores (-log10 p) of surge and crowd, and the findings behind each.

    ``already`` of its events are in quarantine or invalid by a shorter window: what they explain, or may be taken to
    within the standard error of the share, opens nothing.
    ``marked`` is the part of it by the marks that convict it, or have convicted the case that is open: it helps to
    say how many, and opens nothing either.
    """
    surge, crowd = scores
    surge_findings, crowd_findings = findings
    count, expected = x[f.COUNT], x[f.EXPECTED]
    excess = count - expected
    credible = [c.share for c in crowd_findings if c.p <= CREDIBLE_P and c.code in ESTIMATING_CODES]
    share = max(credible, default=0.0)
    verdict = None
    own = False
    told = share_beyond(share, 0.0, round(count))
    left = min(excess, (share - told.doubt if already else share) * count) - already
    least = required_excess_events(limits, crowd=crowd, share=share)
    enough = round(left) >= max(least, LEFT_SHARE * already) if case is None else round(excess) >= least
    together = (
        surge >= limits.surge_score_least and crowd >= limits.suspect_score and surge + crowd >= limits.joint_score
    )
    if together and enough and share >= limits.artificial_share:
        verdict = ARTIFICIAL if crowd >= limits.artificial_score else SUSPECT
        own = True
    elif case is not None and excess > 0 and marked.share > MARKED_DOUBTS * marked.doubt:
        verdict = case.verdict
    if verdict is None:
        return Opinion(None, surge, crowd, [], 0.0, 0.0, 0.0)
    estimate = max(told, marked) if own else marked
    artificial = min(excess, estimate.share * count)
    sure = max(0.0, min(excess, (estimate.share - estimate.doubt) * count))
    noise = TWO_SIDED_95 * math.sqrt(max(1.0, artificial * (1.0 - artificial / count) + expected))
    low = max(0.0, min([artificial, *(s * count for s in credible if s >= limits.artificial_share)]) - noise)
    high = min(count, artificial + noise)
    return Opinion(verdict, surge, crowd, surge_findings + crowd_findings, artificial, low, high, own, sure=sure)


def about_several_events(findings: list[Finding], count: float) -> list[Finding]:
    """The findings that speak of more than one of ``count`` events, what is usual taken off.

    One like of five that came without a view is a fifth of them, beyond what chance allows, and no crowd.

    >>> lonely = Finding("no_views", "engagement", 0.2, 0.0, 0.004, 0.2, "20% of them came without …")
    >>> of_several([lonely], 5.0), len(of_several([lonely], 10.0))
    ([], 1)
    """
    return [finding for finding in findings if finding.share * count >= EVIDENCE_EVENTS_MIN]


def required_excess_events(limits: Thresholds, *, crowd: float, share: float) -> int:
    """Events beyond expectation that a verdict needs: half as many where most of the crowd is rare enough by itself.

    >>> least_excess(DEFAULTS, crowd=3.9, share=1.0), least_excess(DEFAULTS, crowd=4.0, share=1.0)
    (10, 5)
    """
    rare = crowd >= limits.artificial_score and share >= MOST
    return min_excess_events(limits) if rare else limits.excess_events


def min_excess_events(limits: Thresholds) -> int:
    """Events beyond expectation under which no crowd is judged, however rare it is."""
    return max(f.FEW_MIN, limits.excess_events // 2)
