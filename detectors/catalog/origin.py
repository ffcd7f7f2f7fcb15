"""Who: too many people of too few networks.

The crowd's networks (IPv4 /24, IPv6 /48) are compared with those that the platform's people of the same countries
come by, four times whose share is still honest: data centres and rented proxies send a thousand times theirs.

Must spare: schools and carriers (one place, or a country's own networks; a second family must agree), one-country
audiences (compared within their country), households and fans who return (people are counted, not events).

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
    """See the module."""

    name = "origin"
    of = (f.NETWORK, f.SPREAD)
