"""How: bought support brings no interaction; bought likes and followers come without viewers.

Views: the share of the people with accounts whom the likes and follows of the same window leave unaccounted for, at
the platform's own rate. Likes and follows: the share that the target's views do not account for, at four times that
rate. Rates vary over honest targets far more than chance (over-dispersion), so the p-value is that of the platform's
windows, or of a crowd whose people are alike (``shares``), never a binomial's.

Must spare: embedded players and advertisements (nobody likes there, but *who* came is in order), pages whose people
never like (the target's own habit), platforms that send views only or likes only (then there is no rate), and those
on which a follow is of a channel and a view of a video (then follows without views are what is usual).

>>> from detectors.features.names import PEOPLE, SILENT
>>> detector = Engagement()
>>> for i in range(2000):
...     detector.learn_one({PEOPLE: 500.0, SILENT: 0.05 * (i % 8)})
>>> detector.score_one({PEOPLE: 500.0, SILENT: 1.0}) > 3
True
"""

from __future__ import annotations

from detectors.features import names as f
from detectors.scoring.shares import Shares


class Engagement(Shares):
    """See the module."""

    name = "engagement"
    of = (f.SILENT, f.LONELY)
