"""Whether a crowd came by unusual referrers, or by several networks that should send fewer."""

from __future__ import annotations

from detectors.features import names as f
from detectors.features.names import Features
from detectors.scoring.detector import Finding
from detectors.scoring.sentences import RENTED_NETWORKS_CODE, TEXTS
from detectors.verdict.evidence import CREDIBLE_P, PART_MIN

UNSEEN_CODE = TEXTS[f.DORMANT][0]
NETWORK_CODES = (TEXTS[f.NETWORK][0], RENTED_NETWORKS_CODE)

UNUSUAL_SHARE = 0.25
"""Share of the people beyond the platform's mix of referrers, from which on a crowd has unusual referrers."""


def by_unusual_referrers(x: Features) -> bool:
    """Whether a crowd of views may have come by other referrers than the platform's people do.

    >>> [by_unusual_referrers({f.ONCE: 0.0, f.UNUSUAL_REFERRERS: share}) for share in (0.9, 0.1)]
    [True, False]
    >>> by_unusual_referrers({f.ONCE: 0.0}), by_unusual_referrers({f.ONCE: 1.0})
    (True, False)
    """
    return not x.get(f.ONCE, 0.0) and x.get(f.UNUSUAL_REFERRERS, 1.0) >= UNUSUAL_SHARE


def by_networks(findings: list[Finding]) -> bool:
    """Whether a good part of a crowd came by several networks that should send far fewer: a school is one place."""
    several = any(finding.code == RENTED_NETWORKS_CODE and finding.p <= CREDIBLE_P for finding in findings)
    return several and any(g.code in NETWORK_CODES and g.share >= PART_MIN for g in findings)
