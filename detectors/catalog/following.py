"""How: follows by people who had viewed nothing of the owner, on a platform whose followers do view.

A follow is of a channel and a view of one of its videos, so the two are counted on different targets. The role
``actors`` sees both, and reports of each target's new followers how many had viewed its owner (``controls.Followed``).
The baseline is the share of the platform's followers who had not. Where it is a half or more, a follow needs no view,
and nothing is evidence.

Must not flag: a star who joins, whom people follow before there is anything to view. So it does not convict new
accounts: with them, what they do besides decides (``cases.settlements``).

>>> from detectors.features.names import PEOPLE, UNVIEWED
>>> detector = Following()
>>> for i in range(2000):
...     detector.learn_one({PEOPLE: 100.0, UNVIEWED: 0.05 * (i % 8)})
>>> detector.score_one({PEOPLE: 100.0, UNVIEWED: 1.0}) > 3
True
"""

from __future__ import annotations

from detectors.features import names as f
from detectors.scoring.shares import Shares


class Following(Shares):
    """Detector of followers who did not view; see the module."""

    name = "following"
    features = (f.UNVIEWED,)
