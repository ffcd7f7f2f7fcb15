"""How: repeated events by the same few actors.

The feature is the share of events whose actor already occurred in the window. Repeats of an act that honest actors do
only once (like, follow) convict alone. Repeated views do not: fans repeat views too.

Must not flag: super-fans, and music on repeat through the night (they watch to the end, and there is no evidence of
*who*); editors who save ten times (the target's own habit).

>>> from detectors.features.names import COUNT, REPEATS
>>> detector = Repetition()
>>> for i in range(2000):
...     detector.learn_one({COUNT: 500.0, REPEATS: 0.02 * (i % 5)})
>>> detector.score_one({COUNT: 500.0, REPEATS: 0.9}) > 4
True
"""

from __future__ import annotations

from detectors.features import names as f
from detectors.scoring.shares import Shares


class Repetition(Shares):
    """Detector of repeats; see the module."""

    name = "repetition"
    features = (f.REPEATS,)
