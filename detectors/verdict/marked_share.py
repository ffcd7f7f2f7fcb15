"""How many of a crowd are those that were convicted: people with a case's marks, beyond those who honestly have them.

A detector's feature says how far a crowd strays, and is cautious for the sake of its p-value: it grants a network four
times its share, and every bucket two standard deviations. Whoever has convicted a crowd by it need not be cautious in
the same way again: of the people with a mark, those count as artificial that the platform's crowd would not have had,
a = (m - u) / (1 - u) for the marked share m where u is usual. A person with any of the marks is marked once, so a
crowd of which half are new and half come from rented servers is wholly told. m is uncertain by its binomial standard
error, of two more observations (Agresti and Coull 1998), so that three people of three are no certainty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from detectors.features.names import COHORT, FRESH, NETWORK, SPREAD, WATCH
from detectors.reference.mixes import Mix
from detectors.scoring.sentences import TEXTS
from detectors.state.marks import Marks
from detectors.verdict.evidence import MOST
from detectors.windows.crowd import ACCOUNT, DIMENSIONS, Crowd

USUAL_MAX = 0.9
"""Usual share of a mark beyond which having it says nothing."""

_NETWORK = DIMENSIONS.index("network")


class EstimatedShare(NamedTuple):
    """Estimated artificial share of a crowd, 0 … 1, and its standard error."""

    share: float
    doubt: float


def convicting_marks(crowd: Crowd, shares: Mapping[str, float], mixes: dict[str, Mix]) -> Marks:
    """What findings point at in a crowd, each of them a reason code with its share of the crowd.

    Windows to come are judged by a code only if it spoke of most of the crowd that it convicted: that many return to
    an honest hit is told beside its bought part, and is not what the bought part was known by.
    """
    crowd.settle()
    codes = shares.keys()
    marks = Marks(codes=sorted(code for code, share in shares.items() if share >= MOST or code == TEXTS[FRESH][0]))
    if TEXTS[NETWORK][0] in codes or TEXTS[SPREAD][0] in codes:
        marks.networks = sorted(mixes["network"].over(crowd.histogram("network")))
    if TEXTS[COHORT][0] in codes:
        marks.cohorts = sorted(mixes["account"].over(crowd.histogram("account")))
    if TEXTS[WATCH][0] in codes:
        marks.watches = sorted(mixes["watch"].over(crowd.watch))
    return marks


def share_with_marks(crowd: Crowd, marks: Marks, mixes: dict[str, Mix], usually_fresh: float) -> EstimatedShare:
    """The artificial share of a crowd by marks: of its people, or of its watch times, whichever says more.

    Events without an actor have no marks, and are none of the artificial ones.
    """
    crowd.settle()
    share, doubt = max(_people(crowd, marks, mixes, usually_fresh), _watched(crowd, marks, mixes))
    named = crowd.named / crowd.n if crowd.n else 1.0
    return EstimatedShare(share * named, doubt * named)


def share_beyond(marked: float, usual: float, size: int) -> EstimatedShare:
    """(m - u) / (1 - u) of ``size`` observations, and its standard error.

    >>> round(share_beyond(0.6, 0.2, 100).share, 2), share_beyond(0.1, 0.2, 100).share
    (0.5, 0.0)
    >>> share_beyond(1.0, 0.2, 3).doubt > 0.2
    True
    """
    if usual >= USUAL_MAX or size <= 0:
        return EstimatedShare(0.0, 0.0)
    likely = (marked * size + 1.0) / (size + 2.0)
    error = math.sqrt(likely * (1.0 - likely) / size) / (1.0 - usual)
    return EstimatedShare(max(0.0, (marked - usual) / (1.0 - usual)), error)


def _people(crowd: Crowd, marks: Marks, mixes: dict[str, Mix], usually_fresh: float) -> EstimatedShare:
    networks, cohorts, fresh = set(marks.networks), set(marks.cohorts), TEXTS[FRESH][0] in marks.codes
    if not (networks or cohorts or fresh):
        return EstimatedShare(0.0, 0.0)
    events = marked = 0
    for actor, known in crowd.people.items():
        count = crowd.actors[actor]
        account = known[ACCOUNT]
        events += count
        if known[_NETWORK] in networks or (account >= 0 and (account >> 1 in cohorts or (fresh and account & 1))):
            marked += count
    unmarked = 1.0
    if networks:
        unmarked *= 1.0 - min(1.0, mixes["network"].usual_share(crowd.histogram("network"), networks))
    if cohorts:
        accounts = crowd.histogram("account")
        unmarked *= 1.0 - min(1.0, mixes["account"].usual_share(accounts, cohorts))
    if fresh:
        unmarked *= 1.0 - usually_fresh
    return share_beyond(marked / max(1, events), 1.0 - unmarked, len(crowd.people))


def _watched(crowd: Crowd, marks: Marks, mixes: dict[str, Mix]) -> EstimatedShare:
    events = sum(crowd.watch.values())
    if not marks.watches or not events:
        return EstimatedShare(0.0, 0.0)
    marked = sum(crowd.watch.get(bucket, 0) for bucket in marks.watches)
    usual = min(1.0, mixes["watch"].usual_share(crowd.watch, set(marks.watches)))
    return share_beyond(marked / events, usual, events)
