"""Gathers the evidence about a measured window: what the detectors with a vote have found in it."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.catalog.registry import ACCOUNTS, WATCH
from detectors.features import names as f
from detectors.measurement.window_view import WindowView
from detectors.scoring.detector import score_of
from detectors.scoring.sentences import RENTED_NETWORKS_CODE
from detectors.verdict.evidence import PART_MIN, WindowEvidence
from detectors.verdict.opinion import about_several_events
from detectors.verdict.referrers import UNSEEN_CODE, by_networks, by_unusual_referrers
from detectors.verdict.same_people import same_people


def gather(window: WindowView, voting: Sequence[str], *, promoted: bool) -> WindowEvidence:
    """The evidence of these detectors about a measured window, which does not change.

    ``promoted`` is whether a promotion of its target was announced: that explains likes without a view.
    """
    platform, x = window.platform, dict(window.x)
    findings = [
        finding
        for name in (voting if window.asked is None else window.asked)
        for finding in about_several_events(platform.detector(name, window.scale).findings(x), x[f.COUNT])
    ]
    findings.sort(key=lambda finding: (finding.p, finding.code))
    seen_before_counts = not by_unusual_referrers(x) or by_networks(findings)
    if not seen_before_counts:
        findings = [finding for finding in findings if finding.code != UNSEEN_CODE]
    evidence: dict[str, tuple[float, float]] = {}
    for finding in findings:
        score, share = evidence.get(finding.detector, (0.0, 0.0))
        evidence[finding.detector] = max(score, score_of(finding.p)), max(share, finding.share)
    if min(evidence.get(ACCOUNTS, (0.0, 0.0))[1], evidence.get(WATCH, (0.0, 0.0))[1]) >= PART_MIN:
        known = (platform.known, window.reference.known) if seen_before_counts else ()
        x[f.SAME_SHARE], x[f.SAME] = same_people(window.crowd, window.mixes(), known)
    if promoted:
        x.pop(f.VIEWED_FIRST, None)
    rented = next(((score_of(g.p), g.share) for g in findings if g.code == RENTED_NETWORKS_CODE), (0.0, 0.0))
    return WindowEvidence(evidence, rented, findings, x)
