"""How: watch times that are unusual for videos of this length.

The feature is the total variation, beyond chance, between the crowd's histogram of watched fractions and that of the
platform's viewers, by class of length. FLOCK compares a broadcast's viewers with those of its category in this way
(Shah, WWW 2017). The excess estimates the artificial share.

Must not flag: people who watch to the end (that bin is no evidence); promotions that people skip (evidence of *who* is
needed too); series whose viewers always leave at the credits (the target's own habit).

>>> from detectors.features.names import COUNT, WATCH
>>> detector = Watch()
>>> for i in range(2000):
...     detector.learn_one({COUNT: 500.0, WATCH: 0.02 * (i % 5)})
>>> detector.score_one({COUNT: 500.0, WATCH: 0.9}) > 4
True
"""

from __future__ import annotations

from detectors.features import names as f
from detectors.scoring.shares import Shares


class Watch(Shares):
    """Detector of odd watch times; see the module."""

    name = "watch"
    features = (f.WATCH,)
