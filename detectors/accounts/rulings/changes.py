"""Applies verdicts to rows, and publishes the rulings that have changed: as records, and as controls."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectors.accounts.acts.conduct import KINDS as CONDUCTS
from detectors.accounts.acts.conduct import UsualConduct, conduct_of
from detectors.accounts.containment import contained
from detectors.accounts.crowds.stocks import Stocks
from detectors.accounts.outcome import RULINGS, AccountsOutcome, RulingReason, RulingRecord
from detectors.accounts.rulings.verdicts import (
    BY_ALLOW,
    BY_CONDUCT,
    EXPIRED,
    NOT_REVERSED,
    REVERSALS,
    Verdict,
    condemned_at,
)
from detectors.accounts.settings import AccountSettings
from detectors.accounts.storage.columns import ACCOUNT, ADDRESS, CHANGED, NEW_KIND, NO_KIND
from detectors.accounts.storage.table import Table
from detectors.controls import AUTOMATED, DECLARED_ROBOT, DORMANT, EMPTY, HUMAN, KINDS, SELLER, Ruled

SCORE_STEP = 10
"""A score that changes by less is not published again."""
PENDING_MAX = 65_536
"""Rulings that wait to be published; while there are as many, no ruling changes."""


def apply(row: np.void, verdict: Verdict, now_ms: int, settings: AccountSettings, *, allowed: bool) -> bool:
    """Change a row's ruling. Returns whether that must be published."""
    now_s, until_s = now_ms // 1000, (now_ms + settings.ruling_ms) // 1000
    if row["kind"] != NO_KIND and row["until_s"] <= now_s:
        row["previous"], row["kind"], row["score"], row["reversal"] = row["kind"], NO_KIND, 0, EXPIRED
    kind = int(row["kind"])
    if verdict.kind != kind:
        against = kind not in (NO_KIND, HUMAN)
        if verdict.kind == NO_KIND and not against:
            return False  # a person who pauses for a while stays one until the ruling expires
        row["previous"], row["kind"], row["score"] = (
            kind if kind != NO_KIND else row["previous"],
            verdict.kind,
            verdict.score,
        )
        if against:
            row["reversal"] = BY_ALLOW if allowed else BY_CONDUCT
        elif kind != NO_KIND:
            row["reversal"] = NOT_REVERSED
        row["since_s"] = now_s
        row["flags"] |= np.uint16(NEW_KIND)
        row["until_s"] = now_s if verdict.kind == NO_KIND else until_s
        return against or verdict.kind not in (NO_KIND, HUMAN)
    if kind == NO_KIND:
        return False
    if (
        abs(int(row["score"]) - verdict.score) >= SCORE_STEP
        or int(row["until_s"]) - now_s <= settings.ruling_ms // 2000
    ):
        row["score"] = verdict.score
        if kind not in (EMPTY, DORMANT):  # what was found once is not confirmed by more of the same
            row["until_s"] = until_s
        return kind not in (HUMAN, EMPTY, DORMANT)
    return False


class Grounds(NamedTuple):
    """What the reasons of rulings are read from, besides rows."""

    usual: UsualConduct
    gives_ages: bool
    stocks: Stocks


class RulingChanges:
    """Rulings that have changed and wait for a point of the grid, in the order in which they came."""

    def __init__(self, settings: AccountSettings) -> None:
        self._settings = settings
        self.pending: list[int] = []

    @property
    def full(self) -> bool:
        """Whether as many wait as may."""
        return len(self.pending) >= PENDING_MAX

    def publish(self, now_ms: int, table: Table, grounds: Grounds, outcome: AccountsOutcome) -> None:
        """Report the rulings that wait, as many as one point of the grid takes, in order of hash.

        One that cannot be reported is left out; the next change of that account's ruling is reported again.
        """
        chosen, self.pending = self.pending[: self._settings.ruled_max], self.pending[self._settings.ruled_max :]
        places = table.places(sorted(chosen))
        if not len(places):
            return
        rows = table.active
        ruled = Ruled(now_ms, [], [], [], [])
        for place in places.tolist():
            row = rows[place]
            new = int(row["flags"]) & NEW_KIND
            row["flags"] &= ~np.uint16(CHANGED | NEW_KIND)
            with contained(RULINGS, outcome):
                record = record_of(row, table.name(place), now_ms, grounds)
                _add(record, int(row["actor"]), ruled)
                outcome.rulings.append(record)
                if new:
                    _count(record, outcome)
        table.mark(places)
        if ruled.actors:
            outcome.controls.append((None, ruled))


def _add(record: RulingRecord, actor: int, ruled: Ruled) -> None:
    ruled.kinds.append(KINDS.index(record.ruling))
    ruled.actors.append(actor)
    ruled.scores.append(record.score)
    ruled.until.append(record.until)


def _count(record: RulingRecord, outcome: AccountsOutcome) -> None:
    if record.ruling != KINDS[HUMAN]:
        outcome.ruled[record.ruling] = outcome.ruled.get(record.ruling, 0) + 1
    if record.reversed_by is not None and record.previous is not None:
        outcome.reversed[record.previous] = outcome.reversed.get(record.previous, 0) + 1


def record_of(row: np.void, name: str, now_ms: int, grounds: Grounds) -> RulingRecord:
    """The record of a row's ruling. Without a ruling, it says that the previous one was taken back."""
    kind = int(row["kind"])
    account = is_account(row, grounds.gives_ages)
    return RulingRecord(
        actor=name,
        ruling=KINDS[HUMAN if kind == NO_KIND else kind],
        score=int(row["score"]),
        reasons=reasons_of(row, now_ms, grounds, account=account),
        since=1000 * int(row["since_s"]),
        until=1000 * int(row["until_s"]),
        previous=None if row["previous"] == NO_KIND else KINDS[int(row["previous"])],
        reversed_by=REVERSALS[int(row["reversal"])],
        account=account,
        as_of=now_ms,
    )


def is_account(row: np.void, gives_ages: bool) -> bool:
    """Whether an actor is an account. One without an age is none, where the platform gives ages."""
    flags = int(row["flags"])
    return not flags & ADDRESS and (bool(flags & ACCOUNT) or not gives_ages)


def reasons_of(row: np.void, now_ms: int, grounds: Grounds, *, account: bool) -> list[RulingReason]:
    """The reasons of a row's present ruling, with figures."""
    kind, usual = int(row["kind"]), grounds.usual
    found = []
    if kind == AUTOMATED:
        conduct = conduct_of(np.array([row], row.dtype))
        suspicion = usual.suspicion(conduct, 0)
        for number in suspicion.kinds:
            value = float(conduct.values[number][0])
            text = usual.sentence(number, value)
            found.append(RulingReason(CONDUCTS[number].code, value, usual.usual(number), text))
    elif kind == SELLER:
        stock = grounds.stocks.suspected(int(row["stock"]))
        if stock is not None:
            found.append(RulingReason("shared_targets", stock.shared, stock.expected, stock.sentence()))
        if row["crowds"]:
            text = f"it was in {int(row['crowds'])} crowds whose acts were taken out of counts as bought"
            found.append(RulingReason("condemned_crowds", condemned_at(row, now_ms), 0.0, text))
    elif kind == EMPTY:
        text = "it did nothing except what was bought until the case was settled"
        found.append(RulingReason("nothing_else", 1.0, 0.0, text))
    elif kind == DORMANT:
        text = "it acted again after more than 30 days without an act"
        found.append(RulingReason("returned", 1.0, 0.0, text))
    elif kind == DECLARED_ROBOT:
        found.append(RulingReason("declared_robot", 1.0, 0.0, "its user agent says that it is a robot"))
    elif kind == HUMAN:
        text = f"it was active on {int(row['days'])} days, paused each day, and came to various targets"
        found.append(RulingReason("days", float(row["days"]), 0.0, text))
    if not account:
        text = "the id is an address or a guest id, no account: the score is at most 50"
        found.append(RulingReason("no_account", 1.0, 0.0, text))
    return found
