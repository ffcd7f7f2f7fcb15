"""From evidence to verdicts: a surge whose crowd is wrong. Neither half is enough alone."""

from __future__ import annotations

import hashlib
import math

import msgspec

from detectors.catalog.registry import (
    ACCOUNTS,
    CADENCE,
    CONDUCT,
    ENGAGEMENT,
    ESTIMATING_CODES,
    HOW,
    ONCE_ONLY,
    ORIGIN,
    RECORD,
    REPETITION,
    WATCH,
    WHO,
)
from detectors.features import names as f
from detectors.features.referrers import from_elsewhere
from detectors.scoring.detector import Features, Finding
from detectors.state.course import Point
from detectors.thresholds import Thresholds
from detectors.verdict.marked_share import MOST, Marks, Part, share_of
from detectors.windows.crowd import MINUTE_MS

SUSPECT = "suspect"
ARTIFICIAL = "artificial"
EXPLAINED = "explained"
"""A surge that is accounted for: told, and nothing moved (``explained``)."""

DEFAULTS = Thresholds()
SURGE_SCORE = DEFAULTS.surge_score
SURGE_LEAST = DEFAULTS.surge_score_least
"""-log10 p. From SURGE_LEAST on a window is judged; no threshold of a configuration goes below it."""

WITNESS_SCORE = 2.0
"""-log10 p from which a family of evidence agrees with another."""

SAME_DOUBTS = 1.64
"""Standard errors by which those who must be both new and leaving exceed PART_MIN: nineteen in twenty."""

LOOKS_FREE = 4.0
"""Looks at one surge for which WITNESS_SCORE is meant: whoever looks oftener finds something by chance."""

Models = tuple[tuple[str, ...], tuple[str, ...]]
"""An operator's own models of who and of how."""
NO_MODELS: Models = ((), ())

RENTED_SHARE = 0.3
"""Part of the crowd in several networks at once that convicts new accounts: the carriers of one country are several."""

RECORD_SHARE = 0.25
"""Part of the crowd that must have a record: of a crowd that was taken out as a whole, a tenth may be honest
(``rulings``), and its fans may all go on to the next target."""

ALWAYS = 0.95
"""Share of the platform's likes by people who had viewed, from which on a crowd that did not is unheard of."""

NEARLY_ALL = 0.8
"""Part of a crowd that must have done the unheard of, for nothing else to be asked of it."""

PART_MIN = 0.15
"""Part of the crowd that evidence must speak of to be a witness: a difference can be significant and still be small."""

SEVERAL = 1.5
"""Events from which on evidence is of more than one: shares have the usual part taken off, and are seldom whole."""

ALONE_MAX = 2.5
"""Score of a crowd against which one family stands alone: watched, never enough for a verdict."""

LEFT_SHARE = 0.25
"""A longer window that holds events of a closed case opens another only if this much more is left unexplained."""

CREDIBLE_P = 0.01
"""A finding helps to estimate the artificial part only below this."""

MARKED_DOUBTS = 2.0
"""Standard errors by which a window must have more of an open case's marks than is usual, to go on with the case."""

NOBODY = Part(0.0, 0.0)

REVISE_GROWTH = 1.25
"""A flag is revised when its artificial part has grown by a quarter, when its verdict changes, and at its end."""

QUIET_MS = 5 * MINUTE_MS
QUIET_WINDOWS = 2
"""A case closes after five minutes, or two windows of the scale that last saw it, without evidence."""


class Evidence(msgspec.Struct, array_like=True):
    """A reason as the case keeps it."""

    code: str
    detector: str
    value: float
    baseline: float
    p: float
    text: str


class Step(msgspec.Struct, array_like=True):
    """A tick since the onset of a surge that is not (yet) a case."""

    start: int
    count: int
    expected: float
    quarantined: int
    log_from: int


class Case(msgspec.Struct):
    """One incident on one target and metric while it is open."""

    flag_id: str
    onset: int
    until: int
    close_at: int
    verdict: str
    reason: str
    judged: float = 0.0
    found: float = 0.0
    """events in excess in the windows that had a verdict of their own, and the artificial among them"""
    surge: float = 0.0
    crowd: float = 0.0
    observed: int = 0
    expected: float = 0.0
    low: float = 0.0
    high: float = 0.0
    artificial: int = 0
    artificial_low: float = 0.0
    artificial_high: float = 0.0
    revision: int = 0
    said: int = 0
    """artificial events when the flag was last revised"""
    corrections: int = 0
    log_from: int = -1
    log_to: int = -1
    reasons: list[Evidence] = []
    series: list[Point] = []
    marks: Marks = msgspec.field(default_factory=Marks)
    """what its crowd was convicted by"""

    def purity(self) -> float:
        """Artificial events per event in excess, where nothing better is known of a window."""
        return self.found / self.judged if self.judged else 1.0

    def score(self) -> int:
        """0 … 100, from the joined strength of surge and crowd."""
        return round(100.0 * (1.0 - math.exp(-(min(self.surge, 30.0) + self.crowd) / 4.0)))


class Explained(msgspec.Struct):
    """One explained surge while it goes on."""

    flag_id: str
    onset: int
    until: int
    close_at: int
    observed: int = 0
    expected: float = 0.0
    low: float = 0.0
    high: float = 0.0
    """of the windows before the one that is open now"""
    current: tuple[int, int, float, float, float] = (-1, 0, 0.0, 0.0, 0.0)
    """start, observed, expected, low and high of that one"""
    revision: int = 0
    said: int = 0
    surge: float = 0.0
    log_from: int = -1
    log_to: int = -1
    reasons: list[Evidence] = []
    series: list[Point] = []


class Opinion(msgspec.Struct):
    """What the judge holds of one window."""

    verdict: str | None
    surge: float
    crowd: float
    findings: list[Finding]
    artificial: float
    low: float
    high: float
    own: bool = False
    """by its own evidence, not only by that of the case it falls into"""
    marks: Marks = msgspec.field(default_factory=Marks)
    """what the evidence points at in this crowd"""
    sure: float | None = None
    """artificial events less the standard error of their share, where that is known: what is taken out of the count"""


def opinion(
    x: Features,
    scores: tuple[float, float],
    findings: tuple[list[Finding], list[Finding]],
    *,
    case: Case | None,
    already: int = 0,
    limits: Thresholds = DEFAULTS,
    marked: Part = NOBODY,
) -> Opinion:
    """Judge a window by its features, the scores (-log10 p) of surge and crowd, and the findings behind each.

    ``already`` of its events are in quarantine or invalid by a shorter window: what they explain, or may be taken to
    within the standard error of the share, opens nothing.
    ``marked`` is the part of it by the marks that convict it, or have convicted the case that is open: it helps to
    say how many, and opens nothing either.
    """
    surge, crowd = scores
    surge_findings, crowd_findings = findings
    count, expected = x[f.COUNT], x[f.EXPECTED]
    excess = count - expected
    credible = [c.share for c in crowd_findings if c.p <= CREDIBLE_P and c.code in ESTIMATING_CODES]
    share = max(credible, default=0.0)
    verdict = None
    own = False
    told = share_of(share, 0.0, round(count))
    left = min(excess, (share - told.doubt if already else share) * count) - already
    least = least_excess(limits, crowd=crowd, share=share)
    enough = round(left) >= max(least, LEFT_SHARE * already) if case is None else round(excess) >= least
    together = (
        surge >= limits.surge_score_least and crowd >= limits.suspect_score and surge + crowd >= limits.joint_score
    )
    if together and enough and share >= limits.artificial_share:
        verdict = ARTIFICIAL if crowd >= limits.artificial_score else SUSPECT
        own = True
    elif case is not None and excess > 0 and marked.share > MARKED_DOUBTS * marked.doubt:
        verdict = case.verdict
    if verdict is None:
        return Opinion(None, surge, crowd, [], 0.0, 0.0, 0.0)
    estimate = max(told, marked) if own else marked
    artificial = min(excess, estimate.share * count)
    sure = max(0.0, min(excess, (estimate.share - estimate.doubt) * count))
    noise = 1.96 * math.sqrt(max(1.0, artificial * (1.0 - artificial / count) + expected))
    low = max(0.0, min([artificial, *(s * count for s in credible if s >= limits.artificial_share)]) - noise)
    high = min(count, artificial + noise)
    return Opinion(verdict, surge, crowd, surge_findings + crowd_findings, artificial, low, high, own, sure=sure)


def of_several(findings: list[Finding], count: float) -> list[Finding]:
    """The findings that speak of more than one of ``count`` events, what is usual taken off.

    One like of five that came without a view is a fifth of them, beyond what chance allows, and no crowd.

    >>> lonely = Finding("no_views", "engagement", 0.2, 0.0, 0.004, 0.2, "20% of them came without …")
    >>> of_several([lonely], 5.0), len(of_several([lonely], 10.0))
    ([], 1)
    """
    return [finding for finding in findings if finding.share * count >= SEVERAL]


def least_excess(limits: Thresholds, *, crowd: float, share: float) -> int:
    """Events beyond expectation that a verdict needs: half as many where most of the crowd is rare enough by itself.

    >>> least_excess(DEFAULTS, crowd=3.9, share=1.0), least_excess(DEFAULTS, crowd=4.0, share=1.0)
    (10, 5)
    """
    rare = crowd >= limits.artificial_score and share >= MOST
    return fewest(limits) if rare else limits.excess_events


def fewest(limits: Thresholds) -> int:
    """Events beyond expectation under which no crowd is judged, however rare it is."""
    return max(f.FEW_MIN, limits.excess_events // 2)


def crowd_score(
    x: Features,
    evidence: dict[str, tuple[float, float]],
    rented: tuple[float, float],
    models: Models = NO_MODELS,
) -> float:
    """-log10 p of a crowd, from the (score, share of the crowd) of each detector of who and how.

    One family of evidence is met honestly on any large platform. Two that use different data convict together:
    *who* came and *how* they behaved; new accounts from several rented networks (``rented``, the score of that
    feature alone); few actors who do not watch; people of whom many have a record, by any conduct or silence. What can
    honestly be done once and is repeated convicts alone; so do likes by people of whom nearly none viewed
    what they like, where nobody likes what he did not open.
    Who comes again and again may be a fan, and a fan may be new: few actors convict new accounts if most are new.
    One network that nobody likes from is a school, so people of one place need strong conduct against them, whatever
    their accounts; and who is new somewhere comes again, so new accounts must have come again for most of the crowd.
    Who and how must be of the same people (``_same``): a hit, television and an advertisement bring people who are new
    and people who leave, and a promotion shows itself to some people twice and to others in vain. Where that cannot be
    told, new accounts that leave must be silent as well, which of few new ones among people from elsewhere says nothing
    (an advertisement's register, skip and do not like); and silence alone speaks only against a crowd most of whose
    accounts are wrong.
    Of a surge that was looked at often more is asked of both witnesses (Bonferroni).
    ``models`` are an operator's own of who and of how: they may stand in for the accounts and for conduct.
    """

    def of(name: str, least: float = PART_MIN) -> float:
        score, share = evidence.get(name, (0.0, 0.0))
        return score if share >= least else 0.0

    def part(name: str) -> float:
        return evidence.get(name, (0.0, 0.0))[1]

    witness = WITNESS_SCORE + math.log10(max(1.0, x.get(f.ASKED, 1.0) / LOOKS_FREE))
    several = rented[0] if rented[1] >= PART_MIN else 0.0
    again, left = of(REPETITION, MOST), of(WATCH)
    silence, views = of(ENGAGEMENT), not x.get(f.ONCE, 0.0)
    people = max(part(name) for name in (ACCOUNTS, *models[0]))
    told = silence >= WITNESS_SCORE and (part(ACCOUNTS) >= MOST or not from_elsewhere(x))
    leaving = left if _same(x, people, part(WATCH), witness) or told else 0.0
    one_place = of(ORIGIN, MOST) >= WITNESS_SCORE and rented[1] < RENTED_SHARE
    if views and (one_place or part(ACCOUNTS) < MOST):
        silence = 0.0
    accounts = max(of(name) for name in (ACCOUNTS, *models[0]))
    fans = again if people >= MOST else 0.0
    conduct = max(fans, of(CADENCE), leaving, *(of(name) for name in models[1]))
    pairs = [
        (accounts, max(conduct, silence)),
        (of(ORIGIN, MOST), max(of(name, MOST) for name in CONDUCT)),
        (several, max(again, of(CADENCE), left, of(ENGAGEMENT))),
        (several if rented[1] >= RENTED_SHARE else 0.0, of(ACCOUNTS)),
        (of(RECORD, RECORD_SHARE), max(again, of(CADENCE), left, of(ENGAGEMENT))),
        (again if part(REPETITION) + part(WATCH) >= 1.0 + PART_MIN else 0.0, of(WATCH, MOST)),
    ]
    joint = max((joined(a, b) for a, b in pairs if min(a, b) >= witness), default=0.0)
    alone = 0.0 if views else of(ONCE_ONLY)
    if x.get(f.VIEWED_FIRST, 0.0) >= ALWAYS:
        alone = max(alone, of(ENGAGEMENT, NEARLY_ALL))
    return max(joint, alone, min(ALONE_MAX, max(of(name) for name in WHO + HOW)))


def _same(x: Features, new: float, leaving: float, witness: float) -> bool:
    """Whether so many are new and so many leave that some must be both, or these are seen to be the same people.

    Of few people some are both by chance: the bound must hold for the crowd that they are a sample of.
    """
    people = x.get(f.PEOPLE, 1.0)
    doubt = math.sqrt((new * (1.0 - new) + leaving * (1.0 - leaving)) / people)
    certain = new + leaving - 1.0 - SAME_DOUBTS * doubt  # Fréchet's bound
    return certain >= PART_MIN or (x.get(f.SAME, 0.0) >= witness and x.get(f.SAME_SHARE, 0.0) >= PART_MIN)


def joined(first: float, second: float) -> float:
    """-log10 of two independent p-values' product as a p-value (Fisher 1932): pq·(1 - ln pq).

    >>> round(joined(2.0, 2.0), 1), round(joined(4.0, 2.0), 1)
    (3.0, 4.8)
    """
    both = first + second
    return both - math.log10(1.0 + both * math.log(10.0))


def spread(expected: float, dispersion: float) -> float:
    """Half width of the 95 % interval of a count."""
    return 1.96 * math.sqrt(expected + expected * expected / dispersion)


def flag_id(target: str, metric: str, detectors: str, onset_ms: int) -> str:
    """Deterministic id of an incident: never clock, worker or score."""
    return _digest("flag", target, metric, detectors, str(onset_ms))


def explained_id(target: str, metric: str, detectors: str, onset_ms: int) -> str:
    """As ``flag_id``, of a surge that is explained."""
    return _digest("explained", target, metric, detectors, str(onset_ms))


def correction_id(flag: str, number: int) -> str:
    """Deterministic id of a case's n-th correction."""
    return _digest("correction", flag, str(number))


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()


def close_time(until_ms: int, span_ms: int) -> int:
    """When a case last seen in a window of ``span_ms`` that ended at ``until_ms`` may be closed."""
    return until_ms + max(QUIET_MS, QUIET_WINDOWS * span_ms)
