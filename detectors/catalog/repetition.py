"""How: the same few actors again and again.

The share of events that repeat an actor of the window. What an actor can do but once (a like, a follow) and that is
repeated convicts by itself; views that are repeated are also what fans do.

Must spare: super-fans, music on repeat through the night (nothing else is wrong with them: they watch to the end and
are themselves), editors who save ten times (the target's own habit).

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
    """See the module."""

    name = "repetition"
    of = (f.REPEATS,)
