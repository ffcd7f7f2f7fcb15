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

from detectors.reference.mixes import Mix, beyond_chance
from detectors.windows.crowd import Crowd

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
