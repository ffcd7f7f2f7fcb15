"""From evidence to verdicts: a surge whose crowd is wrong. Neither half is enough alone."""

from __future__ import annotations

import math

from detectors.catalog.registry import (
    ACCOUNTS,
    CADENCE,
    CONDUCT,
    ENGAGEMENT,
    HOW,
    ONCE_ONLY,
    ORIGIN,
    RECORD,
    REPETITION,
    WATCH,
    WHO,
)
from detectors.features import names as f
from detectors.features.names import Features
from detectors.verdict.marked_share import MOST
from detectors.verdict.referrers import from_elsewhere

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
(``actors.rulings``), and its fans may all go on to the next target."""

ALWAYS = 0.95
"""Share of the platform's likes by people who had viewed, from which on a crowd that did not is unheard of."""

NEARLY_ALL = 0.8
"""Part of a crowd that must have done the unheard of, for nothing else to be asked of it."""

PART_MIN = 0.15
"""Part of the crowd that evidence must speak of to be a witness: a difference can be significant and still be small."""

ALONE_MAX = 2.5
"""Score of a crowd against which one family stands alone: watched, never enough for a verdict."""


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
