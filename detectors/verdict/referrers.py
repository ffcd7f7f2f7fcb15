"""Whether a crowd came from elsewhere, or by several networks that should send fewer."""

from __future__ import annotations

from detectors.features import names as f
from detectors.features.names import Features
from detectors.scoring.detector import Finding
from detectors.scoring.sentences import TEXTS
from detectors.verdict.evidence import CREDIBLE_P, PART_MIN

UNSEEN = TEXTS[f.DORMANT][0]
NETWORKS = (TEXTS[f.NETWORK][0], TEXTS[f.SPREAD][0])

ELSEWHERE_SHARE = 0.25
"""Part of the people beyond the platform's mix of ways from which on a crowd came by a way of its own."""


def from_elsewhere(x: Features) -> bool:
    """Whether a crowd of views may have come by other ways than the platform's people do.

    >>> from_elsewhere({f.ONCE: 0.0, f.ELSEWHERE: 0.9}), from_elsewhere({f.ONCE: 0.0, f.ELSEWHERE: 0.1})
    (True, False)
    >>> from_elsewhere({f.ONCE: 0.0}), from_elsewhere({f.ONCE: 1.0})
    (True, False)
    """
    return not x.get(f.ONCE, 0.0) and x.get(f.ELSEWHERE, 1.0) >= ELSEWHERE_SHARE


def by_networks(findings: list[Finding]) -> bool:
    """Whether a good part of a crowd came by several networks that should send far fewer: a school is one place."""
    several = any(finding.code == NETWORKS[1] and finding.p <= CREDIBLE_P for finding in findings)
    return several and any(g.code in NETWORKS and g.share >= PART_MIN for g in findings)
