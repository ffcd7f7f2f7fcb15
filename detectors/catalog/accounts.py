"""Who: accounts that are new, made in one batch, or never seen doing anything else.

Fresh accounts, accounts of one cohort (made within the same few days; sellers register in batches), and accounts that
have never been met although they have an age. After SynchroTrap's and Facebook's observations that fake accounts come
in batches (Cao et al., CCS 2014), and "half of a star's followers are empty".

Must spare: a service's first weeks and a school that registers together (a second family must agree), visitors
without accounts (they have no age, and are not asked), targets whose audience is young (their own habit).

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
    """See the module."""

    name = "accounts"
    of = (f.FRESH, f.COHORT, f.DORMANT)
