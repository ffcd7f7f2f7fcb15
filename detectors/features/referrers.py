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

import numpy as np
from numpy.typing import NDArray

from detectors.features.columns import Column

NO_REFERRER_MAX = 0.75
"""Share of the platform's people without a referrer above which referrers count as not given."""


def unusual_referrers(
    people: NDArray[np.int64], given: NDArray[np.int64], surplus: Column, no_referrer: float | None
) -> Column | None:
    """Share of each crowd's people whose referrer is beyond the platform's mix, 0 … 1; None if unknown.

    By crowd, ``people`` is their number, ``given`` that of those with a referrer, and ``surplus`` how many of them are
    beyond the mix. "No referrer" is counted like a referrer; ``no_referrer`` is the platform's usual share of it.

    >>> unusual_referrers(np.array([100, 100]), np.array([100, 20]), np.array([90.0, 0.0]), 0.5).round(2).tolist()
    [0.9, 0.16]
    """
    if no_referrer is None or no_referrer > NO_REFERRER_MAX:
        return None
    expected = no_referrer * people
    without = np.maximum(0.0, people - given - expected - 2.0 * np.sqrt(expected))
    return np.asarray((surplus + without) / np.maximum(people, 1), np.float64)
