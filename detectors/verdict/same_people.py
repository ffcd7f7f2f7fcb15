"""Tests whether marked accounts and odd watch times belong to the same people, or to two crowds in one window.

A hit brings many new people and many who leave early. In a bought crowd these are the same people. The test is Fisher's
exact test (Fisher 1935) on the 2 x 2 table of marked accounts and odd watch times, over the sampled people whose
account age and watch time are given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.reference.known_actors import KnownActors, are_unknown
from detectors.reference.mixes import Mix
from detectors.scoring.detector import score_of
from detectors.windows.crowd import Crowd


class SamePeople(NamedTuple):
    """Share of the people with both marks, 0 … 1, and -log10 p of this overlap by chance."""

    share: float
    score: float


NONE = SamePeople(0.0, 0.0)


def same_people(crowd: Crowd, mixes: dict[str, Mix], known: Sequence[KnownActors]) -> SamePeople:
    """Overlap of marked accounts (fresh, of a cohort, never seen) with odd watch times.

    The mark with the smallest p counts, its p multiplied by the number of marks (Bonferroni). "Never seen" refers to
    ``known``; if that is empty, it is not tested.
    """
    crowd.settle()
    people = crowd.people[(crowd.people["account"] >= 0) & (crowd.people["watch"] >= 0)]
    odd = np.isin(people["watch"], list(mixes["watch"].over(crowd.watch)))
    cohorts = list(mixes["account"].over(crowd.histogram("account")))
    accounts = [people["account"] & 1 == 1, np.isin(people["account"] >> 1, cohorts)]
    if known:
        accounts.append(are_unknown(people["actor"], known))
    best = NONE
    for marked in accounts:
        both = int(np.count_nonzero(marked & odd))
        p = len(accounts) * fisher(both, int(np.count_nonzero(marked)), int(np.count_nonzero(odd)), len(people))
        if score_of(p) > best.score:
            best = SamePeople(both / len(people), score_of(p))
    return best


def fisher(both: int, first: int, second: int, together: int) -> float:
    """P(overlap ≥ ``both``) of two random subsets, of sizes ``first`` and ``second``, of ``together`` people.

    >>> round(fisher(3, 3, 3, 6), 3), fisher(0, 3, 3, 6), fisher(6, 6, 6, 6), fisher(0, 0, 0, 0)
    (0.05, 1.0, 1.0, 1.0)
    """
    ways = sum(
        math.comb(first, k) * math.comb(together - first, second - k) for k in range(both, min(first, second) + 1)
    )
    return ways / math.comb(together, second)
