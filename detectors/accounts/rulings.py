"""Which ruling an account gets, and when it is taken back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectors.accounts.conduct import JOINT_KEEP, JOINT_MIN, NOTHING, Suspicion
from detectors.accounts.storage.bits import distinct
from detectors.accounts.storage.columns import NO_KIND, RETURNED, ROBOT
from detectors.controls import AUTOMATED, DECLARED_ROBOT, DORMANT, EMPTY, HUMAN, SELLER
from detectors.windows.scales import DAY_MS

NOT_REVERSED, BY_CONDUCT, BY_SETTLEMENT, BY_ALLOW, EXPIRED = range(5)
REVERSALS = (None, "conduct", "settlement", "allow", "expired")
"""Why the ruling before was taken back, by the number in a row."""

NO_ACCOUNT_MAX = 50
"""Highest score of an address or a guest id: many people may be behind it, or it may be somebody else tomorrow."""

CROWDS_MIN, CONDEMNED_MIN, CONDEMNED_KEEP = 2, 1.2, 0.6
"""A seller's account was in two condemned crowds, of which at least 60 % each were bought (less with more crowds). It is
kept for a half-life."""
CONDEMNED_HALF_LIFE_MS = 30 * DAY_MS
HONEST_SHARE = 0.2
"""Factor by which each membership reduces the probability that an account is honest: one in five members of a condemned
crowd may be."""

HUMAN_DAYS, HUMAN_TARGETS, HUMAN_RUN_HOURS = 5, 5, 24
"""A person came on five days, to five targets, and paused in each day."""
DORMANT_SCORE = 30
"""A return after a long absence is no misconduct. It says something of a crowd in which everybody returned."""
DORMANT_MS = 7 * DAY_MS
"""An account that is still active after a week is not dormant any more."""
EXCESS_MIN = 0.5
"""Least share of a crowd's empty accounts that is beyond what is usual, for rulings on them."""


class Verdict(NamedTuple):
    """A kind of ruling (NO_KIND for none) and its score."""

    kind: int
    score: int


NONE = Verdict(NO_KIND, 0)


def verdict_on(row: np.void, now_ms: int, suspicion: Suspicion, *, allowed: bool, settled_empty: bool) -> Verdict:
    """The ruling on an account by what is known now. ``settled_empty``: it still has done nothing but what was bought."""
    if allowed:
        return NONE
    flags, kind = int(row["flags"]), int(row["kind"])
    if flags & ROBOT:
        return Verdict(DECLARED_ROBOT, 100)
    condemned = condemned_at(row, now_ms)
    if row["crowds"] >= CROWDS_MIN and condemned >= (CONDEMNED_KEEP if kind == SELLER else CONDEMNED_MIN):
        return Verdict(SELLER, min(99, round(100 * (1.0 - HONEST_SHARE**condemned))))
    if suspicion.convincing or (kind == AUTOMATED and suspicion.joint >= JOINT_KEEP):
        return Verdict(AUTOMATED, min(99, round(60 + 10 * (suspicion.joint - JOINT_MIN))))
    if kind == EMPTY and settled_empty:
        return Verdict(EMPTY, int(row["score"]))
    if flags & RETURNED or (kind == DORMANT and now_ms - 1000 * int(row["since_s"]) < DORMANT_MS):
        return Verdict(DORMANT, DORMANT_SCORE)
    return Verdict(HUMAN, human_score(row)) if is_human(row, suspicion) else NONE


def is_human(row: np.void, suspicion: Suspicion = NOTHING) -> bool:
    """Whether an account behaves as a person: days, pauses, various targets, and no evidence against it."""
    run_hours = (int(row["last_ms"]) // 1000 - int(row["run_s"])) / 3600
    various = int(distinct(np.array([row["targets"]], np.uint64))[0])
    return (
        row["days"] >= HUMAN_DAYS
        and various >= HUMAN_TARGETS
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
    return float(row["condemned"]) * 0.5 ** (since / CONDEMNED_HALF_LIFE_MS)


def capped(verdict: Verdict, *, account: bool) -> Verdict:
    """The ruling with the score of an actor that may be no account."""
    return (
        verdict
        if account or verdict.kind == DECLARED_ROBOT
        else verdict._replace(score=min(verdict.score, NO_ACCOUNT_MAX))
    )
