"""Idle accounts in pages, the oldest first, with an index in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.accounts.pages import PAGE_ACCOUNTS, AccountPages, Page
from detectors.accounts.storage.columns import ROW, Rows, blank
from detectors.accounts.storage.index import GONE, Index

Ints = NDArray[np.int64]

SPARSE = PAGE_ACCOUNTS // 2
"""A page with fewer accounts is written anew together with others: so at least half of what is stored is used, and an
account is copied at most once more for each return of another."""
OFTEN, ONCE = 0, 1
"""Pages of accounts that acted more often, and of those that were seen once, which are dropped first."""


class PageIndex(msgspec.Struct, array_like=True):
    """Which accounts a page has: the index is restored from it without reading the pages."""

    actors: bytes
    """their hashes, in the order of the page"""
    here: bytes
    """a bit for each: whether it is still in this page"""
    group: int


class IdleAccounts:
    """Accounts that were moved out of memory. A page is never changed; an account that acts again leaves its page."""

    def __init__(self, pages: AccountPages) -> None:
        self._pages = pages
        self._index = Index()
        self._live: tuple[dict[int, int], dict[int, int]] = {}, {}
        """page → number of its accounts that are still there, by group, oldest page first"""
        self._sparse: set[int] = set()
        self._changed: set[int] = set()
        self._written: set[int] = set()
        self._dropped: set[int] = set()
        self._next = 0

    def __len__(self) -> int:
        return len(self._index)

    def find(self, actors: Ints) -> Ints:
        """The place of each account, ``index.GONE`` where there is none."""
        return self._index.find(actors)

    def read(self, places: Ints) -> tuple[Rows, list[str]]:
        """The rows and ids at these places, in their order."""
        rows, names = blank(np.zeros(len(places), np.int64)), [""] * len(places)
        numbers = places // PAGE_ACCOUNTS
        for number in np.unique(numbers).tolist():
            page = self._pages[number]
            wanted = np.flatnonzero(numbers == number)
            slots = places[wanted] % PAGE_ACCOUNTS
            rows[wanted] = rows_of(page)[slots]
            for place, slot in zip(wanted.tolist(), slots.tolist(), strict=True):
                names[place] = page.names[slot]
        return rows, names

    def take(self, actors: Ints, places: Ints) -> None:
        """Remove accounts from their places."""
        self._index.remove(actors, places)
        numbers, counts = np.unique(places // PAGE_ACCOUNTS, return_counts=True)
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            group = self._group_of(number)
            self._live[group][number] -= count
            self._changed.add(number)
            if not self._live[group][number]:
                self._drop(number)
            elif self._live[group][number] < SPARSE:
                self._sparse.add(number)

    def put(self, rows: Rows, names: list[str], group: int) -> None:
        """Write accounts into new pages, in their order. None of them may be stored already."""
        for begin in range(0, len(rows), PAGE_ACCOUNTS):
            part = rows[begin : begin + PAGE_ACCOUNTS]
            number, self._next = self._next, self._next + 1
            self._pages[number] = Page(part.tobytes(), names[begin : begin + PAGE_ACCOUNTS])
            self._live[group][number] = len(part)
            self._changed.add(number)
            self._written.add(number)
            self._index.add(part["actor"].astype(np.int64), number * PAGE_ACCOUNTS + np.arange(len(part)))

    def forget(self, actor: int) -> int:
        """Delete an account. Returns the number of accounts deleted.

        A page keeps what has left it, so all pages are read (some 100 µs each). The others of a page that has the
        account are written into a new one.
        """
        stored = self._index.find(np.array([actor], np.int64))[0] != GONE
        for number in self.numbers():
            page = self._pages[number]
            rows = rows_of(page)
            if actor not in rows["actor"]:
                continue
            group = self._group_of(number)
            kept = self._here(number, rows["actor"]) & (rows["actor"] != actor)
            self._forget(number, rows["actor"])
            self.put(rows[kept], [page.names[slot] for slot in np.flatnonzero(kept).tolist()], group)
        return int(stored)

    def write_sparse_anew(self) -> None:
        """Write the accounts of sparse pages into new ones."""
        for group in (OFTEN, ONCE):
            numbers = sorted(number for number in self._sparse if self._group_of(number) == group)
            rows, names = [np.zeros(0, ROW)], []
            for number in numbers:
                page = self._pages[number]
                stored = rows_of(page)
                here = self._here(number, stored["actor"])
                rows.append(stored[here])
                names += [page.names[slot] for slot in np.flatnonzero(here).tolist()]
                self._forget(number, stored["actor"])
            self.put(np.concatenate(rows), names, group)
        self._sparse.clear()

    def drop_oldest(self) -> int:
        """Drop the oldest page, of accounts seen once if there is one. Returns the number of accounts dropped."""
        group = self._live[ONCE] or self._live[OFTEN]
        if not group:
            return 0
        number = next(iter(group))
        return self._forget(number, rows_of(self._pages[number])["actor"])

    def memory_bytes(self) -> int:
        """Bytes of the index; about 200 for each page."""
        return self._index.memory_bytes() + 200 * (len(self._live[0]) + len(self._live[1]))

    # ---------------------------------------------------------------- state

    def take_changed_pages(self) -> Iterator[tuple[int, Page | None]]:
        """Pages written and dropped (None) since the last call, by number."""
        numbers = sorted(self._written | self._dropped)
        gone = self._dropped
        self._written, self._dropped = set(), set()
        for number in numbers:
            yield number, None if number in gone else self._pages[number]

    def take_changed_indexes(self) -> Iterator[tuple[int, PageIndex | None]]:
        """As ``take_changed_pages``, for the indexes of pages."""
        changed, self._changed = sorted(self._changed), set()
        for number in changed:
            yield number, self.page_index(number)

    def page_index(self, number: int) -> PageIndex | None:
        """The index of one page; None if it was dropped."""
        group = self._group_of(number)
        if number not in self._live[group]:
            return None
        actors = rows_of(self._pages[number])["actor"].astype("<i8")
        return PageIndex(actors.tobytes(), np.packbits(self._here(number, actors)).tobytes(), group)

    def numbers(self) -> list[int]:
        """All pages."""
        return sorted((*self._live[OFTEN], *self._live[ONCE]))

    def load(self, next_page: int, indexes: dict[int, Any]) -> None:
        """Load the indexes of pages."""
        self._next = next_page
        actors, places = [], []
        for number, state in sorted(indexes.items()):
            index = msgspec.convert(state, PageIndex)
            listed = np.frombuffer(index.actors, "<i8").astype(np.int64)
            here = np.unpackbits(np.frombuffer(index.here, np.uint8), count=len(listed)).astype(np.bool_)
            self._live[index.group][number] = int(here.sum())
            if here.sum() < min(SPARSE, len(listed)):
                self._sparse.add(number)
            actors.append(listed[here])
            places.append(number * PAGE_ACCOUNTS + np.flatnonzero(here))
        if actors:
            self._index.add(np.concatenate(actors), np.concatenate(places))

    @property
    def next_page(self) -> int:
        """The number of the next page."""
        return self._next

    def _here(self, number: int, actors: NDArray[Any]) -> NDArray[np.bool_]:
        places = number * PAGE_ACCOUNTS + np.arange(len(actors))
        return np.asarray(self._index.find(actors.astype(np.int64)) == places)

    def _group_of(self, number: int) -> int:
        return ONCE if number in self._live[ONCE] else OFTEN

    def _forget(self, number: int, actors: NDArray[Any]) -> int:
        places = number * PAGE_ACCOUNTS + np.arange(len(actors))
        removed = self._index.remove(actors.astype(np.int64), places)
        self._drop(number)
        return removed

    def _drop(self, number: int) -> None:
        del self._live[self._group_of(number)][number]
        self._sparse.discard(number)
        self._changed.add(number)
        if number in self._written:
            self._written.discard(number)
        self._dropped.add(number)
        del self._pages[number]


def rows_of(page: Page) -> Rows:
    """The rows of a page, read-only."""
    return np.frombuffer(page.rows, ROW)
