"""Estimates the artificial share of a crowd from the marks that convicted it, minus their usual share.

A mark is a network, cohort, watch time or new account to which a credible finding applies. A detector's feature is
conservative, for the sake of its p-value: it allows a network four times its share, and each bucket two standard
deviations. Once a crowd is convicted, the estimate need not be conservative in that way. If a share m of the crowd is
marked and u is usual, the artificial share is a = (m - u) / (1 - u). A person with several marks counts once, so a
crowd of half new accounts and half rented servers is estimated as a whole. The standard error of m is binomial, with
two added observations (Agresti and Coull 1998), so that three marked people of three are not certainty.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

from detectors.catalog.registry import ESTIMATING_CODES, HOW
from detectors.features.names import COHORT, FRESH, NETWORK, RULED, SPREAD, SUSPECTED, WATCH
from detectors.measurement.window_view import WindowView
from detectors.reference.mixes import Mix
from detectors.scoring.detector import Finding
from detectors.scoring.sentences import TEXTS
from detectors.state.marks import Marks
from detectors.verdict.evidence import CREDIBLE_P, MOST, PART_MIN
from detectors.verdict.referrers import UNSEEN_CODE
from detectors.windows.crowd import Crowd
from detectors.windows.sample import People

USUAL_MAX = 0.9
"""Usual share of a mark above which it is no evidence."""

RULINGS = frozenset(TEXTS[name][0] for name in (RULED, SUSPECTED))
"""Codes of rulings on the people of a crowd."""
KEPT = RULINGS | {TEXTS[FRESH][0]}
"""Codes that are stored for later windows whatever their share."""


class EstimatedShare(NamedTuple):
    """Estimated artificial share of a crowd, 0 … 1, and its standard error."""

    share: float
    standard_error: float


def estimate(window: WindowView, findings: Sequence[Finding], *, convicted: bool) -> tuple[Marks, EstimatedShare]:
    """The marks that convict a window's crowd, and the share of it with these or with the open case's marks."""
    case, crowd = window.target_state.case, window.crowd
    if case is None and not convicted:
        return Marks(), share_beyond(0.0, 0.0, crowd.n)
    mixes = window.mixes()
    shares = {g.code: g.share for g in findings if g.p <= CREDIBLE_P and g.code in ESTIMATING_CODES}
    marks = convicting_marks(crowd, shares if convicted else {}, mixes)
    wanted = marks if case is None else case.marks.joined(marks)
    share_found = share_with_codes(findings, wanted.codes)
    by_marks = share_with_marks(crowd, wanted, mixes, window.reference.usual(FRESH) or 0.0)
    found = max(by_marks, share_beyond(share_found, 0.0, crowd.n))
    if window.rulings is not None and not RULINGS.isdisjoint(wanted.codes):
        ruled = window.rulings.with_ruling(crowd.people["actor"].tolist(), window.key, window.until)
        found = max(found, share_with_rulings(crowd, ruled))
    return marks, found


def convicting_marks(crowd: Crowd, shares: Mapping[str, float], mixes: dict[str, Mix]) -> Marks:
    """Marks of a crowd by its findings, given as reason code → share of the crowd.

    A code is stored for later windows only if it applies to MOST of the crowd (KEPT always are). Otherwise a code of
    the honest part, such as returning viewers of a hit, would be taken for a mark of the bought part.
    """
    crowd.settle()
    codes = shares.keys()
    marks = Marks(codes=sorted(code for code, share in shares.items() if share >= MOST or code in KEPT))
    if TEXTS[NETWORK][0] in codes or TEXTS[SPREAD][0] in codes:
        marks.networks = sorted(mixes["network"].over(crowd.histogram("network")))
    if TEXTS[COHORT][0] in codes:
        marks.cohorts = sorted(mixes["account"].over(crowd.histogram("account")))
    if TEXTS[WATCH][0] in codes:
        marks.watches = sorted(mixes["watch"].over(crowd.watch))
    return marks


def share_with_marks(crowd: Crowd, marks: Marks, mixes: dict[str, Mix], usually_fresh: float) -> EstimatedShare:
    """Estimated artificial share of a crowd by its marked people or its marked watch times, whichever is larger.

    Events without an actor have no marks, and do not count as artificial.
    """
    crowd.settle()
    share, error = max(_by_people(crowd, marks, mixes, usually_fresh), _by_watch_times(crowd, marks, mixes))
    named = crowd.named / max(1, crowd.n)
    return EstimatedShare(share * named, error * named)


def share_with_codes(findings: Iterable[Finding], codes: Container[str]) -> float:
    """Largest share of a crowd to which findings with these codes apply.

    Accounts that were never seen count only beside unusual conduct: every honest surge brings them. Otherwise an honest
    hit that bots have joined would go on to be taken out when these are gone.

    >>> unseen = Finding("unseen_accounts", "accounts", 0.9, 0.5, 1e-3, 0.8, "")
    >>> leaving = Finding("odd_watch_time", "watch", 0.4, 0.0, 1e-3, 0.4, "")
    >>> share_with_codes([unseen], ["unseen_accounts"]), share_with_codes([unseen, leaving], ["unseen_accounts"])
    (0.0, 0.8)
    """
    found = list(findings)
    conduct = any(g.detector in HOW and g.p <= CREDIBLE_P and g.share >= PART_MIN for g in found)
    return max((g.share for g in found if g.code in codes and (conduct or g.code != UNSEEN_CODE)), default=0.0)


def share_with_rulings(crowd: Crowd, ruled: set[int]) -> EstimatedShare:
    """Estimated artificial share of a crowd that rulings on its people have convicted: that of their events.

    Each counts as a whole, whatever the score of its ruling: one in ten accounts of a stock may be honest, but hardly
    those that are here with the others. Their events are counted one by one, so there is no error if everybody is in
    the sample (the correction for finite populations).
    """
    crowd.settle()
    people = crowd.people
    events = marked = 0
    for actor, count in zip(people["actor"].tolist(), people["events"].tolist(), strict=True):
        events += count
        if actor in ruled:
            marked += count
    share, error = share_beyond(marked / max(1, events), 0.0, len(people))
    named = crowd.named / max(1, crowd.n)
    rest = max(0.0, 1.0 - len(people) / max(1.0, crowd.distinct_actors()))
    return EstimatedShare(share * named, error * named * math.sqrt(rest))


def marked_people(crowd: Crowd, marks: Marks) -> list[int]:
    """The sampled people of a crowd who have marks; all of them if these are no marks of people."""
    crowd.settle()
    actors: list[int] = crowd.people["actor"].tolist()
    if not _marks_people(marks):
        return actors
    return [actor for actor, marked in zip(actors, _are_marked(crowd.people, marks), strict=True) if marked]


def share_beyond(marked: float, usual: float, size: int) -> EstimatedShare:
    """(m - u) / (1 - u) for ``size`` observations, with its standard error. See the module.

    >>> round(share_beyond(0.6, 0.2, 100).share, 2), share_beyond(0.1, 0.2, 100).share
    (0.5, 0.0)
    >>> share_beyond(1.0, 0.2, 3).standard_error > 0.2
    True
    """
    if usual >= USUAL_MAX or size <= 0:
        return EstimatedShare(0.0, 0.0)
    likely = (marked * size + 1.0) / (size + 2.0)
    error = math.sqrt(likely * (1.0 - likely) / size) / (1.0 - usual)
    return EstimatedShare(max(0.0, (marked - usual) / (1.0 - usual)), error)


def _by_people(crowd: Crowd, marks: Marks, mixes: dict[str, Mix], usually_fresh: float) -> EstimatedShare:
    if not _marks_people(marks):
        return EstimatedShare(0.0, 0.0)
    people = crowd.people
    events = people["events"].tolist()
    marked = sum(compress(events, _are_marked(people, marks)))
    unmarked = 1.0
    if marks.networks:
        networks = set(marks.networks)
        unmarked *= 1.0 - min(1.0, mixes["network"].usual_share(crowd.histogram("network"), networks))
    if marks.cohorts:
        accounts = crowd.histogram("account")
        unmarked *= 1.0 - min(1.0, mixes["account"].usual_share(accounts, set(marks.cohorts)))
    if _marks_fresh(marks):
        unmarked *= 1.0 - usually_fresh
    return share_beyond(marked / max(1, sum(events)), 1.0 - unmarked, len(people))


def _marks_people(marks: Marks) -> bool:
    return bool(marks.networks or marks.cohorts or _marks_fresh(marks))


def _marks_fresh(marks: Marks) -> bool:
    return TEXTS[FRESH][0] in marks.codes


def _are_marked(people: People, marks: Marks) -> list[bool]:
    """Whether each of these people has one of the marks of people."""
    networks, cohorts, fresh = set(marks.networks), set(marks.cohorts), _marks_fresh(marks)
    return [
        network in networks or (account >= 0 and (account >> 1 in cohorts or (fresh and account & 1 == 1)))
        for network, account in zip(people["network"].tolist(), people["account"].tolist(), strict=True)
    ]


def _by_watch_times(crowd: Crowd, marks: Marks, mixes: dict[str, Mix]) -> EstimatedShare:
    events = sum(crowd.watch.values())
    if not marks.watches or not events:
        return EstimatedShare(0.0, 0.0)
    marked = sum(crowd.watch.get(bucket, 0) for bucket in marks.watches)
    usual = min(1.0, mixes["watch"].usual_share(crowd.watch, set(marks.watches)))
    return share_beyond(marked / events, usual, events)
