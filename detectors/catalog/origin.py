"""Who: too many people from too few networks.

The crowd's networks (IPv4 /24, IPv6 /48) are compared with the usual networks of the platform's people in the same
countries. Up to four times the usual share counts as honest: data centres and rented proxies exceed it a thousandfold.

Must not flag: schools and carriers (one network, or a country's usual ones; evidence of *how* is needed too); audiences
of one country (compared within their country); households and returning fans (people are counted, not events).

>>> from detectors.features.names import NETWORK, PEOPLE, SPREAD
>>> detector = Origin()
>>> for i in range(2000):
...     detector.learn_one({PEOPLE: 500.0, NETWORK: 0.01 * (i % 5), SPREAD: 0.0})
>>> detector.score_one({PEOPLE: 500.0, NETWORK: 0.8, SPREAD: 0.7}) > 4
True
"""

from __future__ import annotations

from detectors.features import names as f
from detectors.scoring.shares import Shares


class Origin(Shares):
    """Detector of few networks; see the module."""

    name = "origin"
    features = (f.NETWORK, f.SPREAD)
