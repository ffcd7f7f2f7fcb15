"""Which ruling an account gets, and when it is taken back."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from detectors.accounts.acts.conduct import JOINT_KEEP, JOINT_MIN, NOTHING, Suspicion
from detectors.accounts.storage.columns import NO_KIND, RETURNED, ROBOT
from detectors.controls import AUTOMATED, DECLARED_ROBOT, DORMANT, EMPTY, HUMAN, SELLER
from detectors.windows.scales import DAY_MS

NOT_REVERSED, BY_CONDUCT, BY_SETTLEMENT, BY_ALLOW, EXPIRED = range(5)
REVERSALS = (None, "conduct", "settlement", "allow", "expired")
"""Why the ruling before was taken back, by the number in a row."""

NO_ACCOUNT_MAX = 50
"""Highest score of a guest id: it may be somebody else tomorrow."""
SHARED_MAX = 40
"""Highest score where several people may be behind an id: of an address, and of an account whose conduct is that of a
shared one. It is below ``actors.conduct.AUTOMATED_MIN``, so no event is invalid because of it."""

CROWDS_MIN, CONDEMNED_MIN, CONDEMNED_KEEP = 2, 1.2, 0.6
"""A seller's account was in two condemned crowds, of which at least 60 % each were bought (less with more crowds). The
ruling is kept for a half-life."""
CONDEMNED_HALF_LIFE_MS = 30 * DAY_MS
STOCK_SCORE = 90
"""Score of an account that was found with a suspected stock: one in ten may have come by chance."""
HONEST_SHARE = 0.2
"""Factor by which each membership reduces the probability that an account is honest: one in five members of a condemned
crowd may be."""

HUMAN_DAYS, HUMAN_TARGETS, HUMAN_RUN_HOURS = 5, 5, 24
"""A person came on five days, to five targets, and paused in each day."""
DORMANT_SCORE = 30
"""A return after a long absence is no misconduct. It says something of a crowd in which everybody returned."""
RETURNS_MAX = 0.02
"""Share of active accounts that return after a long absence, up to which a return is worth a ruling. On a platform for
one review a year, everybody returns."""
DORMANT_MS = 7 * DAY_MS
"""An account that is still active after a week is not dormant any more."""


class Verdict(NamedTuple):
    """A kind of ruling (NO_KIND for none) and its score."""

    kind: int
    score: int


NONE = Verdict(NO_KIND, 0)


class Judged(NamedTuple):
    """An account under judgement."""

    row: np.void
    now_ms: int
    suspicion: Suspicion
    allowed: bool
    """by the operator"""
    settled_empty: bool
    """whether it still has done nothing but what was bought"""
    returns_are_rare: bool
    """whether few accounts of the platform come back after a long absence"""
    in_stock: bool = False
    """whether it was found with a suspected stock (``crowds.stocks``)"""

    def has(self, kind: int) -> bool:
        """Whether the account's present ruling is of this kind."""
        return bool(self.row["kind"] == kind)


def verdict_on(judged: Judged) -> Verdict:
    """The ruling on an account by what is known now: the first of CHECKS that finds one."""
    if judged.allowed:
        return NONE
    found = (check(judged) for check in CHECKS)
    return next((verdict for verdict in found if verdict is not None), NONE)


def _declared_robot(judged: Judged) -> Verdict | None:
    return Verdict(DECLARED_ROBOT, 100) if int(judged.row["flags"]) & ROBOT else None


def _seller(judged: Judged) -> Verdict | None:
    condemned = condemned_at(judged.row, judged.now_ms)
    least = CONDEMNED_KEEP if judged.has(SELLER) else CONDEMNED_MIN
    score = STOCK_SCORE if judged.in_stock else 0
    if judged.row["crowds"] >= CROWDS_MIN and condemned >= least:
        score = max(score, min(99, round(100 * (1.0 - HONEST_SHARE**condemned))))
    return Verdict(SELLER, score) if score else None


def _automated(judged: Judged) -> Verdict | None:
    suspicion = judged.suspicion
    kept = judged.has(AUTOMATED) and suspicion.joint >= JOINT_KEEP
    if not suspicion.convincing and not kept:
        return None
    most = 99 if suspicion.regular else SHARED_MAX
    return Verdict(AUTOMATED, max(0, min(most, round(60 + 10 * (suspicion.joint - JOINT_MIN)))))


def _empty(judged: Judged) -> Verdict | None:
    kept = judged.has(EMPTY) and judged.settled_empty
    return Verdict(EMPTY, int(judged.row["score"])) if kept else None


def _dormant(judged: Judged) -> Verdict | None:
    kept = judged.has(DORMANT) and judged.now_ms - 1000 * int(judged.row["since_s"]) < DORMANT_MS
    returned = int(judged.row["flags"]) & RETURNED and judged.returns_are_rare
    return Verdict(DORMANT, DORMANT_SCORE) if kept or returned else None


def _human(judged: Judged) -> Verdict | None:
    return Verdict(HUMAN, human_score(judged.row)) if is_human(judged.row, judged.suspicion) else None


CHECKS = (_declared_robot, _seller, _automated, _empty, _dormant, _human)
"""In order of priority."""


def is_human(row: np.void, suspicion: Suspicion = NOTHING) -> bool:
    """Whether an account behaves as a person: days, pauses, various targets, and no evidence against it."""
    run_hours = (int(row["last_ms"]) // 1000 - int(row["run_s"])) / 3600
    return bool(
        row["days"] >= HUMAN_DAYS
        and int(row["targets"]).bit_count() >= HUMAN_TARGETS
        and run_hours < HUMAN_RUN_HOURS
        and row["crowds"] == 0
        and suspicion.joint == 0.0
    )


def human_score(row: np.void) -> int:
    """Score of a person: more with more days."""
    return min(90, 50 + 2 * int(row["days"]))


def condemned_at(row: np.void, now_ms: int) -> float:
    """Memberships in condemned crowds, decayed to ``now_ms``."""
    since = max(0, now_ms - 1000 * int(row["condemned_s"]))
    return float(row["condemned"]) * math.pow(0.5, since / CONDEMNED_HALF_LIFE_MS)


def capped(verdict: Verdict, *, account: bool, address: bool = False) -> Verdict:
    """The ruling with the score of an actor that may be no account."""
    if account or verdict.kind == DECLARED_ROBOT:
        return verdict
    return verdict._replace(score=min(verdict.score, SHARED_MAX if address else NO_ACCOUNT_MAX))
