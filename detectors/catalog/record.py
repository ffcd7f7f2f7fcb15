"""Who: people who were taken out of other targets' counts before.

A seller's accounts are new once. In the second order they have been seen here, and only what is held of them tells
them apart (``actors.rulings``): a list of known sources, as advertising keeps for invalid traffic (MRC, Invalid Traffic
Detection and Filtration Guidelines, 2020), but made here and forgotten again.

Must spare: bystanders who were taken for the bought once (much of the crowd must have a record, and *how* must agree),
a target that was struck before (its own incident is no record), whoever was given back (only what stays taken out is
held against anybody).

>>> from detectors.features.names import PEOPLE, RULED
>>> detector = Record()
>>> for _ in range(2000):
...     detector.learn_one({PEOPLE: 30.0, RULED: 0.0})
>>> detector.score_one({PEOPLE: 30.0, RULED: 0.8}) > 3, detector.score_one({PEOPLE: 30.0, RULED: 0.0}) < 1
(True, True)
"""

from __future__ import annotations

from detectors.features import names as f
from detectors.scoring.shares import Shares


class Record(Shares):
    """See the module."""

    name = "record"
    of = (f.RULED,)
