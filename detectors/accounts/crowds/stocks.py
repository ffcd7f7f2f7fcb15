"""Stocks of accounts: those that come together (``crowds.meetings``) and behave alike.

Friends, fans of a genre and the listeners of one list come together too. So a stock is *suspected* only if its accounts
also behave unlike the platform's others, in one of two ways:

* They leave videos elsewhere. The watched shares of their last views are compared with those of other accounts by the
  test of Kolmogorov and Smirnov. Views that were played to their end are left out: people who like something watch it.
* They like or follow nearly whatever they view, have no other targets, and are no new accounts. Who votes in a contest
  has other targets, or came for it.

Only its number is stored with an account, so all accounts that were ever found with a stock get the ruling once it is
suspected. A stock is easier to keep than to find: it ends when its accounts have not come together for STOCK_MS.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.accounts.acts.updates import TO_THE_END
from detectors.accounts.crowds.meetings import Group, groups_of
from detectors.accounts.storage.columns import ACTIVE, NO_SHARE, SHARE_ONE, Rows
from detectors.accounts.storage.table import Table
from detectors.windows.scales import DAY_MS

STOCK_MIN = 8
"""Least accounts of a new stock."""
KNOWN_MIN = 3
"""Least accounts of a group that belong to a stock, for the group to be part of it."""
STOCK_MS = 30 * DAY_MS
STOCKS_MAX = 256
"""Stocks that are stored. Beyond that, the one that was not seen for longest is dropped."""
NUMBERS = 0xFFFF
"""Numbers of stocks; 0 is none."""

NOT_KNOWN, WATCH, LIKES = range(3)
"""What distinguishes the accounts of a stock from others. Persisted."""
ALIKE_MIN = 20
"""Least accounts that are compared with others."""
OTHERS_MIN = 200
CONDUCT_SCORE = 4.0
"""Least -log10 p of their conduct. That they come together is as rare at least."""
DIFFERENCE_MIN = 0.25
"""Least difference of the distributions: it can be significant and small."""
TARGETS_MIN, TARGET_PART = 3, 0.6
"""The last views compared must be of several targets, none of which has a larger part: viewers of one video leave where
that video is dull."""
LIKING_MIN, LIKING_FACTOR = 0.5, 4.0
"""Share of accounts that like or follow at least every second of their views, and by how much it exceeds the usual."""
AGED_MS = 30 * DAY_MS
BINS = 64


class Stock(msgspec.Struct, array_like=True):
    """A stock of accounts. Times are epoch ms."""

    number: int
    since: int
    seen: int
    """when its accounts last came together"""
    accounts: int = 0
    """accounts found"""
    gatherings: int = 0
    """linked gatherings to which they came when they were seen last"""
    shared: float = 0.0
    expected: float = 0.0
    """median number of accounts that two of these shared, and that expected by chance"""
    conduct: int = NOT_KNOWN
    value: float = 0.0
    usual: float = 0.0
    """the conduct of its accounts, and of others"""

    @property
    def suspected(self) -> bool:
        """Whether its accounts behave unlike others."""
        return self.conduct != NOT_KNOWN

    def sentence(self) -> str:
        """Why its accounts are suspected."""
        text = (
            f"it is one of {self.accounts} accounts that came together to {self.gatherings} targets of different"
            f" owners: two of them shared {self.shared:.0f} accounts within the same hours, and chance would bring"
            f" {self.expected:.2g}; "
        )
        if self.conduct == WATCH:
            return (
                text + f"they leave videos elsewhere than others do (difference of the distributions {self.value:.0%})"
            )
        return text + f"{self.value:.0%} of them like or follow what they view; {self.usual:.0%} is usual"


class Stocks:
    """The stocks of one partition, by number."""

    def __init__(self) -> None:
        self.found: dict[int, Stock] = {}
        self.latest = 0
        """the number that was given last"""

    def suspected(self, number: int) -> Stock | None:
        """The stock with this number, if its accounts are suspected."""
        stock = self.found.get(number)
        return stock if stock is not None and stock.suspected else None

    def find(self, now_ms: int, table: Table) -> None:
        """Look for accounts that come together, and mark those whose ruling may change as active."""
        for number in [stock.number for stock in self.found.values() if stock.seen < now_ms - STOCK_MS]:
            del self.found[number]
        for group in groups_of(table.active, now_ms):
            members = np.isin(np.arange(len(table.active)), group.members)
            if group.dominant and conduct_of_stock(table.active, members, group, now_ms)[0] == NOT_KNOWN:
                continue  # it may be an honest crowd, which must not be marked with a stock
            stock = self._stock_of(group, table.active["stock"][group.members], now_ms)
            if stock is not None:
                self._add(stock, group, now_ms, table)

    def _stock_of(self, group: Group, numbers: NDArray[np.uint16], now_ms: int) -> Stock | None:
        """The stock of most of a group's accounts, or a new one if the group is large enough."""
        given, times = np.unique(numbers[np.isin(numbers, list(self.found))], return_counts=True)
        if len(given) and times.max() >= KNOWN_MIN:
            return self.found[int(given[np.argmax(times)])]
        if len(group.members) < STOCK_MIN:
            return None
        if len(self.found) >= STOCKS_MAX:
            del self.found[min(self.found.values(), key=lambda stock: (stock.seen, stock.number)).number]
        self.latest = self.latest % NUMBERS + 1
        return self.found.setdefault(self.latest, Stock(self.latest, now_ms, now_ms))

    def _add(self, stock: Stock, group: Group, now_ms: int, table: Table) -> None:
        rows = table.active
        new = group.members[~np.isin(rows["stock"][group.members], list(self.found))]
        rows["stock"][new] = stock.number
        table.mark(new)
        stock.seen, stock.accounts = now_ms, stock.accounts + len(new)
        stock.gatherings, stock.shared, stock.expected = group.gatherings, group.shared, group.expected
        changed = new
        if not stock.suspected:
            ours = rows["stock"] == stock.number
            stock.conduct, stock.value, stock.usual = conduct_of_stock(rows, ours, group, now_ms)
            changed = np.flatnonzero(ours)
        if stock.suspected:
            rows["flags"][changed] |= np.uint16(ACTIVE)
            table.mark(changed)


def conduct_of_stock(rows: Rows, ours: NDArray[np.bool_], group: Group, now_ms: int) -> tuple[int, float, float]:
    """What distinguishes some accounts from the others, with its value and the usual one; NOT_KNOWN if nothing."""
    others = ~ours & (rows["stock"] == 0)
    difference = 0.0 if group.dominant else _watch_difference(rows, ours, others)
    if difference >= DIFFERENCE_MIN:
        return WATCH, difference, 0.0
    aged = (rows["created_s"] > 0) & (rows["created_s"].astype(np.int64) * 1000 < now_ms - AGED_MS)
    if 2 * group.only < len(group.members) or 2 * np.count_nonzero(aged & ours) < np.count_nonzero(ours):
        return NOT_KNOWN, 0.0, 0.0
    value, usual = _liking(rows, ours), _liking(rows, others)
    if value >= max(LIKING_MIN, LIKING_FACTOR * usual):
        return LIKES, value, usual
    return NOT_KNOWN, 0.0, 0.0


def _watch_difference(rows: Rows, ours: NDArray[np.bool_], others: NDArray[np.bool_]) -> float:
    """The largest difference of the distributions of watched shares; 0.0 if it may be chance, or one video's."""
    left = (rows["last_share"] < TO_THE_END) & (rows["last_share"] != NO_SHARE)
    chosen = ours & left
    of_ours, of_others = (
        np.bincount(rows["last_share"][each & left] * BINS // SHARE_ONE, minlength=BINS) for each in (ours, others)
    )
    number = int(of_ours.sum())
    if number < ALIKE_MIN or of_others.sum() < OTHERS_MIN:
        return 0.0
    views = np.unique(rows["last_target"][chosen], return_counts=True)[1]
    if len(views) < TARGETS_MIN or views.max() > TARGET_PART * number:
        return 0.0
    difference = float(np.abs(np.cumsum(of_ours) / number - np.cumsum(of_others) / of_others.sum()).max())
    score = (2.0 * number * difference**2 - math.log(2.0)) / math.log(10.0)
    return difference if score >= CONDUCT_SCORE else 0.0


def _liking(rows: Rows, chosen: NDArray[np.bool_]) -> float:
    """Share of some accounts, of those with views, that like or follow at least every second of their views."""
    acts = rows["acts"][chosen].astype(np.int64)
    acts = acts[acts[:, 0] > 0]
    if len(acts) < ALIKE_MIN:
        return 0.0
    return float((2 * (acts[:, 1] + acts[:, 2]) >= acts[:, 0]).mean())
