"""How: watched as nobody watches such a length.

The crowd's histogram of watched fractions, each class of length by itself, against the platform's viewers of that
class: total variation beyond chance, after FLOCK's comparison of a broadcast's viewers with its category's
(Shah, WWW 2017). The excess is an estimate of the artificial part.

Must spare: people who watch to the end, whatever brought them (that bin is no evidence); promotions whose people skip
(a family that says *who* must agree); series whose viewers always leave at the credits (the target's own habit).

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
    """See the module."""

    name = "watch"
    of = (f.WATCH,)
