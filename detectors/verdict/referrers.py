"""Checks whether a crowd has unusual referrers, or uses several networks beyond their usual share."""

from __future__ import annotations

from detectors.features import names as f
from detectors.features.names import Features
from detectors.scoring.detector import Finding
from detectors.scoring.sentences import RENTED_NETWORKS_CODE, TEXTS
from detectors.verdict.evidence import CREDIBLE_P, PART_MIN

UNSEEN_CODE = TEXTS[f.DORMANT][0]
NETWORK_CODES = (TEXTS[f.NETWORK][0], RENTED_NETWORKS_CODE)

UNUSUAL_SHARE = 0.25
"""Least share of people beyond the platform's mix of referrers for a crowd to have unusual referrers."""


def by_unusual_referrers(x: Features) -> bool:
    """Whether the referrers of a crowd of views may be unusual. True if they are not known.

    >>> [by_unusual_referrers({f.ONCE: 0.0, f.UNUSUAL_REFERRERS: share}) for share in (0.9, 0.1)]
    [True, False]
    >>> by_unusual_referrers({f.ONCE: 0.0}), by_unusual_referrers({f.ONCE: 1.0})
    (True, False)
    """
    return not x.get(f.ONCE) and (f.UNUSUAL_REFERRERS not in x or x[f.UNUSUAL_REFERRERS] >= UNUSUAL_SHARE)


def by_networks(findings: list[Finding]) -> bool:
    """Whether PART_MIN of a crowd or more uses several networks beyond their usual share. One network is a school."""
    several = any(finding.code == RENTED_NETWORKS_CODE and finding.p <= CREDIBLE_P for finding in findings)
    return several and any(g.code in NETWORK_CODES and g.share >= PART_MIN for g in findings)
