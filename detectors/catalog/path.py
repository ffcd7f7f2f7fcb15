"""Told, never judged: by which agents, referrers and countries they came, and how many had never been met.

News, embedded players, in-app browsers and one country's evening move these as far as any seller, so they open and
close nothing. An analyst wants to know them all the same.

>>> from detectors.features import PEOPLE, REFERRER
>>> Path().findings({PEOPLE: 200.0, REFERRER: 0.95})[0].code
'odd_referrers'
"""

from __future__ import annotations

from detectors import features as f
from detectors.shares import Shares


class Path(Shares):
    """See the module."""

    name = "path"
    of = (f.STRANGERS, f.AGENT, f.REFERRER, f.COUNTRY)
