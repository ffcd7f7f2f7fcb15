"""Compares the referrers of a crowd with those of the platform's people.

A link in a forum, newsletter, chat or advertisement brings people who register, or whose account was never active here.
They are human, but they like little and leave early, as bought accounts do. Their referrers distinguish them. So in a
crowd with unusual referrers, two findings do not count:

* never seen accounts, unless the crowd uses several networks far beyond their usual share: readers of a link use as
  many networks as other readers;
* missing likes, as evidence that the new people are those who leave.

If the platform does not send referrers, any crowd may have unusual ones.
"""

from __future__ import annotations

from math import fsum

from detectors.reference.mixes import Mix, beyond_chance
from detectors.windows.crowd import Crowd

NO_REFERRER_MAX = 0.75
"""Share of the platform's people without a referrer above which referrers count as not given."""


def unusual_referrers(crowd: Crowd, referrers: Mix, direct: float | None) -> float | None:
    """Share of a crowd's people whose referrer is beyond the platform's mix, 0 … 1; None if unknown.

    "No referrer" is counted like a referrer. ``direct`` is the platform's usual share of it.
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
