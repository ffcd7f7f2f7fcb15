"""Who: people who were removed from other targets' counts before, or whom the role ``actors`` suspects.

A seller's accounts are new only in the first order. In the second order they are known to the platform, and only
recorded rulings distinguish them (``actors.rulings``). This is a list of known sources, as in advertising for invalid
traffic (MRC, Invalid Traffic Detection and Filtration Guidelines, 2020), but made by truecount itself, and it expires.

Must not flag: honest people who were once removed with a bought crowd (a large share of the crowd must have a record,
and evidence of *how* is needed too); a target that was attacked before (its own incident is no record); people whose
removal was reversed (only rulings that remain count).

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
    """Detector of people with a record; see the module."""

    name = "record"
    features = (f.RULED, f.SUSPECTED)
