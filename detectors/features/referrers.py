"""By what ways a crowd came: as the platform's people come, or by one that is its own.

A forum's link, a newsletter, a word that goes round in chats, an advertisement bring people who have an account and
never came until now, or make one. They are no robots; they like little and leave early, and in all of that they look
like accounts that were bought. What sets them apart is the way they came. So of a crowd from elsewhere it says nothing
that its accounts were never seen here, unless it came by several networks that should send far fewer (a link's readers
are in as many networks as readers have); and that it likes nothing does not make new people and leaving people the
same. Where referrers are not given, the way is not known, and a crowd may always have come from elsewhere.
"""

from __future__ import annotations

from math import fsum

from detectors.features import names as f
from detectors.reference.mixes import Mix, beyond_chance
from detectors.scoring.detector import Features, Finding
from detectors.scoring.sentences import TEXTS
from detectors.windows.crowd import Crowd

UNSEEN = TEXTS[f.DORMANT][0]
NETWORKS = (TEXTS[f.NETWORK][0], TEXTS[f.SPREAD][0])

ELSEWHERE_SHARE = 0.25
"""Part of the people beyond the platform's mix of ways from which on a crowd came by a way of its own."""

NETWORKS_SHARE = 0.15
NETWORKS_P = 0.01
"""Part of a crowd by networks that should send far fewer, and by chance so seldom, that sets it apart from a link's."""

DIRECT_MAX = 0.75
"""Share of the platform's people without referrer from which on ways are not known."""


def elsewhere(crowd: Crowd, referrers: Mix, direct: float | None) -> float | None:
    """Share of a crowd's people, 0 … 1, whose way here the platform's mix does not account for; None if not known.

    No referrer is a way like any other; ``direct`` is the platform's usual share of it.
    """
    if direct is None or direct > DIRECT_MAX:
        return None
    counts = crowd.histogram("referrer")
    people = len(crowd.people)
    if not people:
        return None
    surpluses = [max(0.0, beyond_chance(people - sum(counts.values()), direct * people))]
    if counts:
        surpluses += referrers.surpluses(counts)
    return fsum(sorted(surpluses)) / people


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
    several = any(finding.code == NETWORKS[1] and finding.p <= NETWORKS_P for finding in findings)
    return several and any(g.code in NETWORKS and g.share >= NETWORKS_SHARE for g in findings)
