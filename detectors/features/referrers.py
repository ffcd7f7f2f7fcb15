"""Compares the referrers of a crowd with those of the platform's people.

A forum's link, a newsletter, a link in chats or an advertisement brings people who have an account and never came until
now, or who register. They are no robots, but they like little and leave early, as bought accounts do. Their referrers
set them apart. So accounts that were never seen here are no evidence against a crowd with unusual referrers, unless it
came by several networks that should send far fewer: a link's readers are in as many networks as readers have. And a
crowd that likes nothing does not show that its new people are those who leave. Where referrers are not given, they are
not known, and the referrers of any crowd may be unusual.
"""

from __future__ import annotations

from math import fsum

from detectors.reference.mixes import Mix, beyond_chance
from detectors.windows.crowd import Crowd

NO_REFERRER_MAX = 0.75
"""Share of the platform's people without referrer from which on referrers count as not given."""


def unusual_referrers(crowd: Crowd, referrers: Mix, direct: float | None) -> float | None:
    """Share of a crowd's people, 0 … 1, whose referrer the platform's mix does not account for; None if not known.

    No referrer is counted like any other; ``direct`` is the platform's usual share of it.
    """
    if direct is None or direct > NO_REFERRER_MAX:
        return None
    counts = crowd.histogram("referrer")
    people = len(crowd.people)
    if not people:
        return None
    surpluses = [max(0.0, beyond_chance(people - sum(counts.values()), direct * people))]
    if counts:
        surpluses += referrers.surpluses(counts)
    return fsum(sorted(surpluses)) / people
