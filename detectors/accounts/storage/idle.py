"""Idle accounts in pages, the oldest first, with an index in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.accounts.pages import PAGE_ACCOUNTS, AccountPages, Page
from detectors.accounts.storage.columns import ROW, Rows
from detectors.accounts.storage.index import GONE, Index

Ints = NDArray[np.int64]

SPARSE = PAGE_ACCOUNTS // 2
"""A page with fewer accounts is written anew together with others: so at least half of what is stored is used, and an
account is copied at most once more for each return of another."""
PAGE_BYTES = 300
"""Memory of a page whose accounts are on disk: its number and bits, in a dict (measured)."""
OFTEN, ONCE = 0, 1
"""Pages of accounts that acted more often, and of those that were seen once, which are dropped first."""


class PageIndex(msgspec.Struct, array_like=True):
    """Which accounts a page was written with: the index is restored from it without reading the pages."""

    actors: bytes
    """their hashes, in the order of the page"""
    group: int


class PageChanges(NamedTuple):
    """Numbers of the pages that were written and dropped, in ascending order."""

    written: list[int]
    dropped: list[int]


class IdleAccounts:
    """Accounts that were moved out of memory. A page is never changed; an account that acts again leaves its page."""

    def __init__(self, pages: AccountPages) -> None:
        self._pages = pages
        self._index = Index()
        self._here: tuple[dict[int, int], dict[int, int]] = {}, {}
        """page → a bit for each of its accounts that is still there, by group, oldest page first"""
        self._sparse: set[int] = set()
        self._new: dict[int, PageIndex] = {}
        """indexes of pages written since the last ``take_changed_indexes``"""
        self._left: set[int] = set()
        """pages that accounts have left since then"""
        self._gone: set[int] = set()
        """pages dropped since then"""
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
        size = ROW.itemsize
        rows, names = [b""] * len(places), [""] * len(places)
        order = np.argsort(places, kind="stable").tolist()
        place_of, page, number = places.tolist(), Page(b"", []), -1
        for at in order:
            if place_of[at] // PAGE_ACCOUNTS != number:
                number = place_of[at] // PAGE_ACCOUNTS
                page = self._pages[number]
            slot = place_of[at] % PAGE_ACCOUNTS
            rows[at] = page.rows[slot * size : (slot + 1) * size]
            names[at] = page.names[slot]
        return np.frombuffer(b"".join(rows), ROW), names

    def take(self, actors: Ints, places: Ints) -> None:
        """Remove accounts from their places."""
        self._index.remove(actors, places)
        leaving: dict[int, int] = {}
        for place in places.tolist():
            number, slot = divmod(place, PAGE_ACCOUNTS)
            leaving[number] = leaving.get(number, 0) | 1 << slot
        for number, slots in sorted(leaving.items()):
            here = self._here[self._group_of(number)]
            here[number] &= ~slots
            self._left.add(number)
            if not here[number]:
                self._drop(number)
            elif here[number].bit_count() < SPARSE:
                self._sparse.add(number)

    def put(self, rows: Rows, names: list[str], group: int) -> None:
        """Write accounts into new pages, in their order. None of them may be stored already."""
        for begin in range(0, len(rows), PAGE_ACCOUNTS):
            part = rows[begin : begin + PAGE_ACCOUNTS]
            number, self._next = self._next, self._next + 1
            self._pages[number] = Page(part.tobytes(), names[begin : begin + PAGE_ACCOUNTS])
            self._here[group][number] = _all_of(len(part))
            self._new[number] = PageIndex(part["actor"].tobytes(), group)
            self._written.add(number)
        if len(rows):
            first = (self._next - -(-len(rows) // PAGE_ACCOUNTS)) * PAGE_ACCOUNTS
            self._index.add(rows["actor"].astype(np.int64), first + np.arange(len(rows)))

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
            kept = self._still_here(number, len(rows)) & (rows["actor"] != actor)
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
                here = self._still_here(number, len(stored))
                rows.append(stored[here])
                names += [page.names[slot] for slot in np.flatnonzero(here).tolist()]
                self._forget(number, stored["actor"])
            self.put(np.concatenate(rows), names, group)
        self._sparse.clear()

    def drop_oldest(self) -> int:
        """Drop the oldest page, of accounts seen once if there is one. Returns the number of accounts dropped."""
        group = self._here[ONCE] or self._here[OFTEN]
        if not group:
            return 0
        number = next(iter(group))
        return self._forget(number, rows_of(self._pages[number])["actor"])

    def memory_bytes(self) -> int:
        """Bytes of the index; about PAGE_BYTES for each page."""
        new = sum(len(index.actors) for index in self._new.values())
        return self._index.memory_bytes() + PAGE_BYTES * (len(self._here[0]) + len(self._here[1])) + new

    # ---------------------------------------------------------------- state

    def take_page_changes(self) -> PageChanges:
        """Pages written and dropped since the last call. One that was both is in neither."""
        changes = PageChanges(sorted(self._written), sorted(self._dropped))
        self._written, self._dropped = set(), set()
        return changes

    def take_changed_indexes(self) -> Iterator[tuple[str, PageIndex | bytes | None]]:
        """Records that changed since the last call: ``index/N`` of new pages, ``here/N`` of those that accounts left.

        Both are None for a page that was dropped. Pages are not read.
        """
        new, left, gone = self._new, self._left - self._gone, self._gone
        self._new, self._left, self._gone = {}, set(), set()
        for number in sorted(gone):
            yield f"index/{number}", None
            yield f"here/{number}", None
        for number, index in sorted(new.items()):
            yield f"index/{number}", index
        for number in sorted(left):
            yield f"here/{number}", self._here_bytes(number)

    def indexes(self) -> Iterator[tuple[str, PageIndex | bytes]]:
        """The records of all pages, as ``take_changed_indexes`` has them. All pages are read."""
        for number in self.numbers():
            actors = rows_of(self._pages[number])["actor"]
            yield f"index/{number}", PageIndex(actors.tobytes(), self._group_of(number))
            if not self._still_here(number, len(actors)).all():
                yield f"here/{number}", self._here_bytes(number)

    def numbers(self) -> list[int]:
        """All pages."""
        return sorted((*self._here[OFTEN], *self._here[ONCE]))

    def load(self, next_page: int, indexes: dict[int, PageIndex], here: dict[int, bytes]) -> None:
        """Load the records of pages: their indexes, and which of their accounts are there if not all are."""
        self._next = next_page
        actors, places = [], []
        for number, index in sorted(indexes.items()):
            listed = np.frombuffer(index.actors, "<i8").astype(np.int64)
            bits = int.from_bytes(here[number], "little") if number in here else _all_of(len(listed))
            self._here[index.group][number] = bits
            slots = np.flatnonzero(self._still_here(number, len(listed)))
            if len(slots) < min(SPARSE, len(listed)):
                self._sparse.add(number)
            actors.append(listed[slots])
            places.append(number * PAGE_ACCOUNTS + slots)
        if actors:
            self._index.add(np.concatenate(actors), np.concatenate(places))

    @property
    def next_page(self) -> int:
        """The number of the next page."""
        return self._next

    def _still_here(self, number: int, accounts: int) -> NDArray[np.bool_]:
        bits = np.frombuffer(self._here_bytes(number), np.uint8)
        return np.unpackbits(bits, count=accounts, bitorder="little").astype(np.bool_)

    def _here_bytes(self, number: int) -> bytes:
        return self._here[self._group_of(number)][number].to_bytes(PAGE_ACCOUNTS // 8, "little")

    def _group_of(self, number: int) -> int:
        return ONCE if number in self._here[ONCE] else OFTEN

    def _forget(self, number: int, actors: NDArray[Any]) -> int:
        places = number * PAGE_ACCOUNTS + np.arange(len(actors))
        removed = self._index.remove(actors.astype(np.int64), places)
        self._drop(number)
        return removed

    def _drop(self, number: int) -> None:
        del self._here[self._group_of(number)][number]
        self._sparse.discard(number)
        if self._new.pop(number, None) is None:
            self._gone.add(number)
        self._left.discard(number)
        if number in self._written:
            self._written.discard(number)
        else:
            self._dropped.add(number)
        del self._pages[number]


def rows_of(page: Page) -> Rows:
    """The rows of a page, read-only."""
    return np.frombuffer(page.rows, ROW)


def _all_of(accounts: int) -> int:
    """The bits of a page with so many accounts, all of which are there."""
    return (1 << accounts) - 1
