"""Idle accounts in pages, the oldest first, with an index in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.accounts.pages import PAGE_ACCOUNTS, PIECE_ACCOUNTS, PIECES, AccountPages, Piece
from detectors.accounts.storage.columns import ROW, Rows, rows_at
from detectors.accounts.storage.index import GONE, Index
from detectors.accounts.storage.presence import OFTEN, ONCE, Presence

Ints = NDArray[np.int64]

PIECES_AT_ONCE = 512
"""Pieces that are read together: about a megabyte."""
CHANGED_BYTES = 100
"""Memory of the number of a page that was written or dropped since the last checkpoint, in a set."""


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
        self._presence = Presence()
        self._new: dict[int, PageIndex] = {}
        """indexes of pages written since the last ``take_changed_indexes``"""
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
        numbers, piece_of = np.unique(places // PIECE_ACCOUNTS, return_inverse=True)
        rows, names = [b""] * len(places), [""] * len(places)
        order = np.argsort(piece_of, kind="stable")
        for begin in range(0, len(numbers), PIECES_AT_ONCE):
            pieces = self._pages.read(numbers[begin : begin + PIECES_AT_ONCE].tolist())
            first, last = np.searchsorted(piece_of[order], (begin, begin + len(pieces)))
            chosen = order[first:last]
            slots = (places[chosen] % PIECE_ACCOUNTS).tolist()
            for at, piece, slot in zip(chosen.tolist(), (piece_of[chosen] - begin).tolist(), slots, strict=True):
                stored = pieces[piece]
                rows[at] = stored.rows[slot * ROW.itemsize : (slot + 1) * ROW.itemsize]
                names[at] = stored.names[slot]
        return np.frombuffer(b"".join(rows), ROW), names

    def take(self, actors: Ints) -> tuple[NDArray[np.intp], Rows, list[str]]:
        """Remove those of different accounts that are here. Returns which they are, their rows and their ids."""
        found = self._index.locate(actors)
        here = np.flatnonzero(found.places != GONE)
        places = found.places[here]
        rows, names = self.read(places)
        self._index.remove_found(found)
        self._drop(self._presence.leave(places))
        return here, rows, names

    def put(self, rows: Rows, names: list[str], group: int) -> None:
        """Write accounts into new pages, in their order. None of them may be stored already."""
        first, actors = self._next, rows["actor"].astype("<i8")
        self._pages.write(_pieces(first * PIECES, rows, names))
        for begin in range(0, len(rows), PAGE_ACCOUNTS):
            part = actors[begin : begin + PAGE_ACCOUNTS]
            number, self._next = self._next, self._next + 1
            self._presence.add(number, _all_of(len(part)), written=len(part), group=group)
            self._new[number] = PageIndex(part.tobytes(), group)
            self._written.add(number)
        self._index.add(actors.astype(np.int64), first * PAGE_ACCOUNTS + np.arange(len(rows)))

    def forget(self, actor: int) -> int:
        """Delete an account. Returns the number of accounts deleted.

        A page keeps what has left it, so all pages are read (some 200 µs each). The others of a page that has the
        account are written into a new one.
        """
        stored = self._index.find(np.array([actor], np.int64))[0] != GONE
        for number in self.numbers():
            pieces = self._pages.read_page(number)
            rows = rows_of(pieces)
            if actor not in rows["actor"]:
                continue
            group, here = self._presence.group(number), self._presence.places([number])
            names = [name for piece in pieces for name in piece.names]
            slots = here - number * PAGE_ACCOUNTS
            kept = slots[rows["actor"][slots] != actor]
            self._forget([number], rows["actor"][slots], here)
            self.put(rows_at(rows, kept), [names[slot] for slot in kept.tolist()], group)
        return int(stored)

    def write_sparse_anew(self) -> None:
        """Write the accounts of sparse pages into new ones."""
        for group in (OFTEN, ONCE):
            numbers = self._presence.sparse(group)
            places = self._presence.places(numbers)
            rows, names = self.read(places)
            self._forget(numbers, rows["actor"], places)
            self.put(rows, names, group)

    def drop_oldest(self) -> int:
        """Drop the oldest page, of accounts seen once if there is one. Returns the number of accounts dropped."""
        number = self._presence.oldest()
        if number is None:
            return 0
        places = self._presence.places([number])
        return self._forget([number], self.read(places)[0]["actor"], places)

    def memory_bytes(self) -> int:
        """Bytes of the index, of what is known of pages, and of what has changed since the last checkpoint."""
        new = sum(len(index.actors) for index in self._new.values())
        changed = len(self._new) + len(self._gone) + len(self._written) + len(self._dropped)
        return self._index.memory_bytes() + self._presence.memory_bytes() + new + CHANGED_BYTES * changed

    # ---------------------------------------------------------------- state

    def take_page_changes(self) -> PageChanges:
        """Pages written and dropped since the last call. One that was both is in neither."""
        changes = PageChanges(sorted(self._written), sorted(self._dropped))
        self._written, self._dropped = set(), set()
        return changes

    def take_changed_indexes(self) -> Iterator[tuple[str, PageIndex | bytes | None]]:
        """Records that changed since the last call: ``pages/N`` of new pages, ``here/N`` of those that accounts left.

        Both are None for a page that was dropped. Pages are not read.
        """
        new, left, gone = self._new, self._presence.take_left(), self._gone
        self._new, self._gone = {}, set()
        for number in sorted(gone):
            yield f"pages/{number}", None
            yield f"here/{number}", None
        for number, index in sorted(new.items()):
            yield f"pages/{number}", index
        for number in left:
            yield f"here/{number}", self._presence.here(number)

    def indexes(self) -> Iterator[tuple[str, PageIndex | bytes]]:
        """The records of all pages, as ``take_changed_indexes`` has them. All pages are read."""
        for number in self.numbers():
            actors = rows_of(self._pages.read_page(number))["actor"]
            yield f"pages/{number}", PageIndex(actors.tobytes(), self._presence.group(number))
            if not self._presence.all_here(number):
                yield f"here/{number}", self._presence.here(number)

    def numbers(self) -> list[int]:
        """All pages."""
        return self._presence.numbers()

    def load(self, next_page: int, indexes: dict[int, PageIndex], here: dict[int, bytes]) -> None:
        """Load the records of pages: their indexes, and which of their accounts are there if not all are."""
        self._next = next_page
        actors, places = [], []
        for number, index in sorted(indexes.items()):
            listed = np.frombuffer(index.actors, "<i8").astype(np.int64)
            bits = here.get(number, _all_of(len(listed)))
            self._presence.add(number, bits, written=len(listed), group=index.group)
            stored = self._presence.places([number])
            actors.append(listed[stored - number * PAGE_ACCOUNTS])
            places.append(stored)
        if actors:
            self._index.add(np.concatenate(actors), np.concatenate(places))

    def lose(self, numbers: set[int]) -> None:
        """Note pages that are not loaded because a record of them is damaged: what is left of them is deleted."""
        self._gone |= numbers
        self._dropped |= numbers

    @property
    def next_page(self) -> int:
        """The number of the next page."""
        return self._next

    def _forget(self, numbers: list[int], actors: NDArray[Any], places: Ints) -> int:
        """Drop pages, and remove their accounts, which are at these places. Returns the number removed."""
        removed = self._index.remove(actors.astype(np.int64), places)
        self._drop(numbers)
        return removed

    def _drop(self, numbers: list[int]) -> None:
        self._presence.drop(numbers)
        for number in numbers:
            if self._new.pop(number, None) is None:
                self._gone.add(number)
            if number in self._written:
                self._written.discard(number)
            else:
                self._dropped.add(number)
        self._pages.drop(numbers)


def rows_of(pieces: Iterable[Piece]) -> Rows:
    """The rows of some pieces, read-only."""
    return np.frombuffer(b"".join(piece.rows for piece in pieces), ROW)


def _pieces(number: int, rows: Rows, names: list[str]) -> Iterator[tuple[int, Piece]]:
    for begin in range(0, len(rows), PIECE_ACCOUNTS):
        end = begin + PIECE_ACCOUNTS
        yield number, Piece(rows[begin:end].tobytes(), names[begin:end])
        number += 1


def _all_of(accounts: int) -> bytes:
    """The bits of a page with so many accounts, all of which are there."""
    return ((1 << accounts) - 1).to_bytes(PAGE_ACCOUNTS // 8, "little")
