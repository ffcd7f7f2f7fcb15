"""Who: accounts that are new, created in one batch, or never seen on the platform before.

Three features: fresh accounts; accounts of one cohort (created within the same few days: sellers register in batches);
and accounts with an age but without earlier events. Source: SynchroTrap and Facebook observed that fake accounts come
in batches (Cao et al., CCS 2014).

Must not flag: the first weeks of a service, or a school that registers together (evidence of *how* is needed too);
visitors without an account (they have no age and are not counted); targets with a young audience (compared with the
target's own habit).

>>> from detectors.features.names import FRESH, PEOPLE
>>> detector = Accounts()
>>> for i in range(2000):
...     detector.learn_one({PEOPLE: 500.0, FRESH: 0.02 * (i % 7)})
>>> detector.score_one({PEOPLE: 500.0, FRESH: 0.9}) > 4, detector.score_one({PEOPLE: 500.0, FRESH: 0.08}) < 1
(True, True)
"""

from __future__ import annotations

from detectors.features import names as f
from detectors.scoring.shares import Shares


class Accounts(Shares):
    """Detector of unusual accounts; see the module."""

    name = "accounts"
    features = (f.FRESH, f.COHORT, f.DORMANT)
