"""The rules by which evidence convicts a crowd. Each rule is a row of RULES; ``docs/detection.md`` prints them.

Any single kind of evidence also occurs in honest crowds of a large platform. Two kinds that use different data convict
together: *who* came and *how* they behaved. Each must reach the least score (``CrowdEvidence.least_score``) for the
least share of the crowd. A repeated act convicts alone if honest actors can do it only once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

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
from detectors.scoring.normal import ONE_SIDED_95
from detectors.verdict.evidence import MOST, OWN_HOW, OWN_WHO, PART_MIN, RENTED, WITNESS_SCORE, CrowdEvidence
from detectors.verdict.referrers import by_unusual_referrers

RENTED_SHARE = 0.3
"""Least share in several networks that convicts new accounts. Below it, it may be the carriers of one country."""

RECORD_SHARE = 0.25
"""Least share with a record. A tenth of a removed crowd may be honest (``actors.rulings``), and all of these may come
to the next target as fans."""

ALWAYS = 0.95
"""Least share of the platform's likes by viewers for which a crowd of likes without views is evidence by itself."""

NEARLY_ALL = 0.8
"""Least share of a crowd without views if no other evidence is required."""

ALONE_MAX = 2.5
"""Highest score of one kind of evidence alone. It is below every threshold of a verdict."""


class Required(NamedTuple):
    """Evidence that a rule requires: one of these kinds, for at least this share of the crowd."""

    kinds: tuple[str, ...]
    least_share: float


class Unless(NamedTuple):
    """Exception of a rule: it does not apply although its evidence is present."""

    applies: Callable[[CrowdEvidence], bool]
    text: str


class Rule(NamedTuple):
    """One row: the evidence that convicts, the exception, and why in one sentence."""

    name: str
    first: Required
    second: Required | None
    """None: the first kind convicts alone"""
    sentence: str
    unless: Unless | None = None
    score_max: float = math.inf


def _few_may_be_new(crowd: CrowdEvidence) -> bool:
    """Whether fewer than MOST may be new. The people are a sample, as in ``_must_be_the_same``.

    A party of fans is judged dozens of times, and with fewer people as it ends: of eleven, six may be new by chance.
    Without a number of people (events without an actor, an own model of them) the share has no such error.
    """
    new = crowd.share(ACCOUNTS, OWN_WHO)
    return new - ONE_SIDED_95 * math.sqrt(new * (1.0 - new) / crowd.x.get(f.PEOPLE, math.inf)) < MOST


def _not_the_same_people(crowd: CrowdEvidence) -> bool:
    """Whether nothing shows that the new accounts and the early leavers are the same people.

    One of three things shows it: the two shares must overlap, the sampled people have both marks, or likes are missing.
    Missing likes do not count if few accounts are new and referrers are unusual: people who come by an advertisement
    register, skip and do not like.
    """
    silent = crowd.score(ENGAGEMENT) >= WITNESS_SCORE
    silent = silent and (crowd.share(ACCOUNTS) >= MOST or not by_unusual_referrers(crowd.x))
    return not (silent or _must_be_the_same(crowd) or _seen_to_be_the_same(crowd))


def _must_be_the_same(crowd: CrowdEvidence) -> bool:
    """Whether the shares of new accounts and of early leavers are so large that they must overlap by PART_MIN.

    The people are a sample, so the bound is reduced by its standard error times ONE_SIDED_95.
    """
    new, leaving = crowd.share(ACCOUNTS, OWN_WHO), crowd.share(WATCH)
    people = crowd.x.get(f.PEOPLE, 1.0)
    doubt = math.sqrt((new * (1.0 - new) + leaving * (1.0 - leaving)) / people)
    certain = new + leaving - 1.0 - ONE_SIDED_95 * doubt  # Fréchet's bound
    return certain >= PART_MIN


def _seen_to_be_the_same(crowd: CrowdEvidence) -> bool:
    return crowd.x.get(f.SAME, 0.0) >= crowd.least_score and crowd.x.get(f.SAME_SHARE, 0.0) >= PART_MIN


def _views_of_one_place_or_of_few_new(crowd: CrowdEvidence) -> bool:
    """Whether these are views from one network (a school), or with few new accounts (an embedded player)."""
    one_place = crowd.score(ORIGIN, least_share=MOST) >= WITNESS_SCORE and crowd.share(RENTED) < RENTED_SHARE
    return _repeatable(crowd) and (one_place or crowd.share(ACCOUNTS) < MOST)


def _few_are_both(crowd: CrowdEvidence) -> bool:
    return crowd.share(REPETITION) + crowd.share(WATCH) < 1.0 + PART_MIN


def _repeatable(crowd: CrowdEvidence) -> bool:
    return not crowd.x.get(f.ONCE, 0.0)


def _likes_without_views_are_usual(crowd: CrowdEvidence) -> bool:
    return crowd.x.get(f.VIEWED_FIRST, 0.0) < ALWAYS


NEW_ACCOUNTS = Required((ACCOUNTS, OWN_WHO), PART_MIN)
MANY_REPEAT = Required((REPETITION,), MOST)
OTHER_CONDUCT = Required((CADENCE, WATCH, ENGAGEMENT), PART_MIN)

RULES: tuple[Rule, ...] = (
    Rule(
        "new accounts that repeat",
        NEW_ACCOUNTS,
        MANY_REPEAT,
        "Fans repeat views, and a few of them are always new.",
        Unless(_few_may_be_new, f"fewer than {MOST:.0%} may be new, as far as the number of people tells"),
    ),
    Rule(
        "new accounts on a schedule",
        NEW_ACCOUNTS,
        Required((CADENCE,), PART_MIN),
        "People who register of their own accord do not come at even intervals.",
    ),
    Rule(
        "new accounts that leave",
        NEW_ACCOUNTS,
        Required((WATCH,), PART_MIN),
        "A hit, television or an advertisement brings new people, and other people who leave early.",
        Unless(
            _not_the_same_people,
            f"nothing shows that {PART_MIN:.0%} are both new and leaving: not their shares, not the sampled people, and"
            f" no likes are missing (which counts if {MOST:.0%} are new, or if the referrers are the platform's)",
        ),
    ),
    Rule(
        "new accounts against an own model",
        NEW_ACCOUNTS,
        Required((OWN_HOW,), PART_MIN),
        "An operator's own model of how people behave counts as conduct.",
    ),
    Rule(
        "new accounts that do not like",
        NEW_ACCOUNTS,
        Required((ENGAGEMENT,), PART_MIN),
        "A school in one network likes nothing, and readers of a site with an embedded player seldom like.",
        Unless(
            _views_of_one_place_or_of_few_new,
            f"they are views, and fewer than {MOST:.0%} are new or {MOST:.0%} come from one place (less than"
            f" {RENTED_SHARE:.0%} from several networks)",
        ),
    ),
    Rule(
        "networks and conduct",
        Required((ORIGIN,), MOST),
        Required(CONDUCT, MOST),
        "One network may be a school, so people of one network need strong evidence of conduct.",
    ),
    Rule(
        "rented networks that repeat",
        Required((RENTED,), PART_MIN),
        MANY_REPEAT,
        "A seller rents several networks, and its few actors repeat events.",
    ),
    Rule(
        "rented networks and conduct",
        Required((RENTED,), PART_MIN),
        OTHER_CONDUCT,
        "A school is one network, but a seller rents several, so any evidence of conduct or missing likes is enough.",
    ),
    Rule(
        "new accounts from rented networks",
        Required((RENTED,), RENTED_SHARE),
        Required((ACCOUNTS,), PART_MIN),
        "New accounts from several networks are bought; a smaller share may be the carriers of one country.",
    ),
    Rule(
        "record and repeats",
        Required((RECORD,), RECORD_SHARE),
        MANY_REPEAT,
        "People who were removed from other targets' counts repeat events.",
    ),
    Rule(
        "record and conduct",
        Required((RECORD,), RECORD_SHARE),
        OTHER_CONDUCT,
        "People who were removed from other targets' counts have odd conduct here too; a tenth of them may be honest.",
    ),
    Rule(
        "few actors that leave",
        MANY_REPEAT,
        Required((WATCH,), MOST),
        "A promotion is shown to some people twice, and other people skip it.",
        Unless(_few_are_both, f"the two shares add up to less than {1.0 + PART_MIN:.0%}"),
    ),
    Rule(
        "repeated where once is honest",
        Required((ONCE_ONLY,), PART_MIN),
        None,
        "An honest actor likes or follows the same target only once.",
        Unless(_repeatable, "they are views, which can honestly be repeated"),
    ),
    Rule(
        "likes of what nobody opened",
        Required((ENGAGEMENT,), NEARLY_ALL),
        None,
        "If people view what they like, a crowd of likes without views is bought.",
        Unless(
            _likes_without_views_are_usual,
            f"less than {ALWAYS:.0%} of the platform's likes are by people who had viewed, or it is not known",
        ),
    ),
    Rule(
        "one kind alone",
        Required(WHO + HOW, PART_MIN),
        None,
        "Any single kind of evidence also occurs in honest crowds, so it gives no verdict.",
        score_max=ALONE_MAX,
    ),
)
