"""Verdict on one window, from its scores and findings."""

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
"""Least events that a finding must apply to. It is not 2 because the usual part is subtracted from shares."""

LEFT_SHARE = 0.25
"""A longer window with events of a closed case opens another case only if this share more is unexplained."""

MARKED_STANDARD_ERRORS = 2.0
"""Standard errors by which the marked share of a window must exceed zero to continue an open case, and
``artificial_share`` to open one."""

NO_SHARE = EstimatedShare(0.0, 0.0)


class Opinion(msgspec.Struct):
    """The judgement on one window: verdict, scores, findings and the estimated artificial events."""

    verdict: str | None
    surge: float
    crowd: float
    findings: list[Finding]
    artificial: float
    low: float
    high: float
    own_evidence: bool = False
    """whether the window's own evidence gives the verdict, and not only that of the open case"""
    marks: Marks = msgspec.field(default_factory=Marks)
    """marks of the crowd by its findings"""
    certain_artificial: float | None = None
    """artificial events minus their standard error, if known: the number that is quarantined"""
    sellers: list[int] = []
    """accounts of sellers whose events are condemned by rulings, if it rests on them (``verdict.sellers``)"""
    of_case_only: bool = False
    """whether only events of the case's shorter windows count as artificial (``verdict.window_opinion``)"""
    settles: bool = False
    """whether it rests on evidence of one kind, so that the conduct of the accounts must settle it"""
    beside_drip: float | None = None
    """expected events of the day beside a drip, if the evidence of several days finds one (``verdict.days``)"""

    def expected(self, x: Features) -> float:
        """Expected events of the window with these features, beside those of a drip."""
        return x[f.EXPECTED] if self.beside_drip is None else self.beside_drip


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
    """Judge a window by its features, the scores (-log10 p) of surge and crowd, and the findings of each.

    ``already`` events were quarantined by shorter windows. The part of the evidence that they explain, within the
    standard error of the share, opens no case.
    ``marked`` is the share estimated from the marks of this window or of the open case. It is used for the estimate,
    and to continue an open case. It opens none, but where the findings convict, each with too small a share, all marks
    together may be a large enough one.
    """
    surge, crowd = scores
    surge_findings, crowd_findings = findings
    count, expected = x[f.COUNT], x[f.EXPECTED]
    excess = count - expected
    credible = [c.share for c in crowd_findings if c.p <= CREDIBLE_P and c.code in ESTIMATING_CODES]
    share = max(credible, default=0.0)
    verdict = None
    own_evidence = False
    by_findings = share_beyond(share, 0.0, round(count))
    left = min(excess, (share - by_findings.standard_error if already else share) * count) - already
    least = required_excess_events(limits, crowd=crowd, share=share)
    enough = round(left) >= max(least, LEFT_SHARE * already) if case is None else round(excess) >= least
    convicted = (
        surge >= limits.surge_score_least and crowd >= limits.suspect_score and surge + crowd >= limits.joint_score
    )
    # People with different marks add up: a crowd may be half new and half of rented networks.
    all_marks = marked.share - MARKED_STANDARD_ERRORS * marked.standard_error if case is None else 0.0
    if convicted and enough and max(share, all_marks) >= limits.artificial_share:
        verdict = ARTIFICIAL if crowd >= limits.artificial_score else SUSPECT
        own_evidence = True
    elif case is not None and excess > 0 and marked.share > MARKED_STANDARD_ERRORS * marked.standard_error:
        verdict = case.verdict
    if verdict is None:
        return Opinion(None, surge, crowd, [], 0.0, 0.0, 0.0)
    estimate = max(by_findings, marked) if own_evidence else marked
    artificial, low, high, certain = artificial_events(
        x, estimate, [s for s in credible if s >= limits.artificial_share]
    )
    findings_of_both = surge_findings + crowd_findings
    return Opinion(
        *(verdict, surge, crowd, findings_of_both, artificial, low, high, own_evidence), certain_artificial=certain
    )


def artificial_events(x: Features, estimate: EstimatedShare, shares: list[float]) -> tuple[float, float, float, float]:
    """Artificial events of a window by their estimated share: the value, its limits, and the value less its error.

    The lower limit is that of the smallest of the ``shares`` to which findings apply.
    """
    count, expected = x[f.COUNT], x[f.EXPECTED]
    excess = count - expected
    artificial = min(excess, estimate.share * count)
    certain = max(0.0, min(excess, (estimate.share - estimate.standard_error) * count))
    noise = TWO_SIDED_95 * math.sqrt(max(1.0, artificial * (1.0 - artificial / count) + expected))
    low = max(0.0, min([artificial, *(share * count for share in shares)]) - noise)
    return artificial, low, min(count, artificial + noise), certain


def about_several_events(findings: list[Finding], count: float) -> list[Finding]:
    """The findings that apply to at least EVIDENCE_EVENTS_MIN of ``count`` events.

    One like of five without a view is a significant share, but a single event is no crowd.

    >>> lonely = Finding("no_views", "engagement", 0.2, 0.0, 0.004, 0.2, "20% of them came without …")
    >>> about_several_events([lonely], 5.0), len(about_several_events([lonely], 10.0))
    ([], 1)
    """
    return [finding for finding in findings if finding.share * count >= EVIDENCE_EVENTS_MIN]


def required_excess_events(limits: Thresholds, *, crowd: float, share: float) -> int:
    """Excess events that a verdict needs. Half as many if the evidence is strong and applies to most of the crowd.

    >>> [required_excess_events(DEFAULTS, crowd=crowd, share=1.0) for crowd in (3.9, 4.0)]
    [10, 5]
    """
    rare = crowd >= limits.artificial_score and share >= MOST
    return min_excess_events(limits) if rare else limits.excess_events


def min_excess_events(limits: Thresholds) -> int:
    """Least excess events of any verdict, however strong the evidence."""
    return max(f.FEW_MIN, limits.excess_events // 2)
