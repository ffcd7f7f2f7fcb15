"""What is concluded of accounts at points of the grid."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from detectors.accounts.acts.conduct import NOTHING, Suspicion, UsualConduct, conduct_of
from detectors.accounts.acts.rates import GRID_MS, fold
from detectors.accounts.containment import contained
from detectors.accounts.crowds.settlement import Settled, Settlement
from detectors.accounts.crowds.stocks import Stocks
from detectors.accounts.outcome import LEARNING, RULINGS, AccountsOutcome
from detectors.accounts.rulings.changes import Grounds, RulingChanges, apply, is_account
from detectors.accounts.rulings.replays import Replays
from detectors.accounts.rulings.verdicts import (
    HUMAN_DAYS,
    HUMAN_TARGETS,
    RETURNS_MAX,
    Judged,
    Verdict,
    capped,
    condemned_at,
    verdict_on,
)
from detectors.accounts.settings import AccountSettings
from detectors.accounts.storage.bits import distinct
from detectors.accounts.storage.columns import ACTIVE, ADDRESS, CHANGED, NO_KIND, RETURNED, ROBOT, Rows
from detectors.accounts.storage.table import Table
from detectors.controls import AUTOMATED, DECLARED_ROBOT, DORMANT, EMPTY, HUMAN, SELLER, Removed
from detectors.failures import UNCONTAINED
from detectors.windows.scales import DAY_MS

TEACH_JOINT_MAX = 2.0
"""Accounts that are suspected more than this do not teach what is usual."""
AGES_SHARE = 0.01
"""Share of new accounts with an age from which the platform gives ages."""
RETURNS_COUNTED_MAX = 1_000_000
"""Accounts at which the counts of returns are halved, so that they follow the platform."""
CASE_MASK = 0xFFFF_FFFF


class Evaluation:
    """Rulings on accounts: what is usual, who is judged when, and what waits to be published."""

    def __init__(self, settings: AccountSettings) -> None:
        self._settings = settings
        self.usual = UsualConduct()
        self.changes = RulingChanges(settings)
        self.stocks = Stocks()
        self.ages: tuple[int, int] = (0, 0)
        self.returns: tuple[int, int] = (0, 0)
        """accounts that returned after a long absence, and all that were active, each once a day"""
        self.replays = Replays(settings)

    @property
    def gives_ages(self) -> bool:
        """Whether the platform gives the ages of accounts."""
        given, missing = self.ages
        return given > AGES_SHARE * (given + missing)

    @property
    def returns_are_rare(self) -> bool:
        """Whether few active accounts return after a long absence."""
        returned, active = self.returns
        return returned <= RETURNS_MAX * active

    def grounds(self) -> Grounds:
        """What reasons of rulings are read from."""
        return Grounds(self.usual, self.gives_ages, self.stocks)

    def note_ages(self, given: int, missing: int) -> None:
        """Count new accounts with and without an age."""
        self.ages = self.ages[0] + given, self.ages[1] + missing

    def condemn(self, removed: Removed, table: Table) -> None:
        """Add a membership in a condemned crowd to accounts. One case counts once, with its first share."""
        places = table.places(removed.actors)
        case = case_hash(removed.case)
        rows = table.gather(places)
        for row in rows:
            if int(row["last_case"]) == case:
                continue
            row["condemned"] = condemned_at(row, removed.at) + min(1.0, max(0.0, removed.share))
            row["condemned_s"] = max(0, removed.at) // 1000
            row["last_case"] = case
            row["crowds"] = min(255, int(row["crowds"]) + 1)
            row["flags"] |= np.uint16(ACTIVE)
        table.scatter(places, rows)

    def rule_empty(self, settled: Settled, now_ms: int, table: Table) -> None:
        """Rulings on the accounts of a question that did nothing else, if most did so, and that is not usual."""
        compared = settled.compared
        if not compared.unusual:
            return
        verdict = Verdict(EMPTY, round(100 * compared.excess))
        places = table.places(settled.empty)
        rows = table.gather(places)
        for row, place in zip(rows, places.tolist(), strict=True):
            if int(row["kind"]) in (NO_KIND, HUMAN, DORMANT):
                self._change(row, table.name(place), verdict, now_ms)
        table.scatter(places, rows)

    def evaluate(self, now_ms: int, table: Table, settlement: Settlement, outcome: AccountsOutcome) -> None:
        """Judge the accounts that acted since the last point of the grid, in order of their hashes.

        If one cannot be judged, its ruling stays as it is. If it raises, that is so of all.
        """
        places = np.flatnonzero(table.active["flags"] & ACTIVE)
        if not len(places):
            return
        places = places[np.argsort(table.active["actor"][places], kind="stable")]
        rows = table.gather(places)
        table.active["flags"][places] &= ~np.uint16(ACTIVE)  # what fails is not tried again at every point
        table.mark(places)
        fold(rows, now_ms // GRID_MS)
        conduct = conduct_of(rows)
        suspect = self.usual.candidates(conduct)
        teaches = ~np.isin(rows["kind"], (DECLARED_ROBOT, AUTOMATED, SELLER))
        judged = suspect | (rows["kind"] > HUMAN) | (rows["flags"] & (ROBOT | RETURNED) > 0) | (rows["crowds"] > 0)
        judged |= rows["stock"] > 0
        unruled = (rows["kind"] == NO_KIND) | ((rows["kind"] == HUMAN) & (rows["until_s"] <= now_ms // 1000))
        judged |= unruled & (rows["days"] >= HUMAN_DAYS) & (distinct(rows["targets"]) >= HUMAN_TARGETS)
        self._note_returns(rows, now_ms)
        rows["flags"] &= ~np.uint16(ACTIVE)
        for place in np.flatnonzero(judged).tolist():
            before = rows[place].copy()
            try:
                suspicion = self.usual.suspicion(conduct, place) if suspect[place] else NOTHING
                self._judge(rows[place], table.name(int(places[place])), suspicion, now_ms, settlement)
                teaches[place] &= suspicion.joint <= TEACH_JOINT_MAX
            except UNCONTAINED:
                raise
            except Exception as error:  # noqa: BLE001  # it costs the ruling on one account
                rows[place], teaches[place] = before, False
                outcome.fail(RULINGS, error)
        with contained(LEARNING, outcome):
            rows["taught"] |= self.usual.learn(conduct, teaches, rows["taught"])
        table.scatter(places, rows)

    def _judge(self, row: np.void, name: str, suspicion: Suspicion, now_ms: int, settlement: Settlement) -> None:
        empty = bool(row["kind"] == EMPTY) and settlement.still_empty(row)
        in_stock = self.stocks.suspected(int(row["stock"])) is not None
        known = Judged(row, now_ms, suspicion, name in self._settings.allow, empty, self.returns_are_rare, in_stock)
        self._change(row, name, verdict_on(known), now_ms)
        row["flags"] &= ~np.uint16(RETURNED)

    def _note_returns(self, rows: Rows, now_ms: int) -> None:
        today = rows["seen_day"] < now_ms // DAY_MS
        rows["seen_day"] = now_ms // DAY_MS
        rows["taught"][today] = 0
        self.replays.note_active(int(np.count_nonzero(today)))
        returned = int(np.count_nonzero(rows["flags"] & RETURNED))
        self.returns = self.returns[0] + returned, self.returns[1] + int(np.count_nonzero(today))
        if self.returns[1] > RETURNS_COUNTED_MAX:
            self.returns = self.returns[0] // 2, self.returns[1] // 2

    def publish(self, now_ms: int, table: Table, outcome: AccountsOutcome) -> None:
        """Report the rulings that have changed."""
        self.changes.publish(now_ms, table, self.grounds(), outcome)

    def _change(self, row: np.void, name: str, verdict: Verdict, now_ms: int) -> None:
        if self.changes.full:
            return
        allowed = name in self._settings.allow
        address = bool(int(row["flags"]) & ADDRESS)
        verdict = capped(verdict, account=is_account(row, self.gives_ages), address=address)
        if apply(row, verdict, now_ms, self._settings, allowed=allowed) and not int(row["flags"]) & CHANGED:
            row["flags"] |= np.uint16(CHANGED)
            self.changes.pending.append(int(row["actor"]))


def case_hash(case: str) -> int:
    """32 bits of a flag id, never 0."""
    return crc32(case.encode()) & CASE_MASK or 1
