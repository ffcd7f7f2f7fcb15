"""Which accounts of each page are still there: a row for each page, 46 bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.accounts.pages import PAGE_ACCOUNTS

Ints = NDArray[np.int64]

OFTEN, ONCE = 0, 1
"""Groups: pages of accounts that acted more often, and of those that were seen once, which are dropped first."""
SPARSE = PAGE_ACCOUNTS // 2
"""A page that accounts have left, and that has fewer, is written anew together with others: so at least half of what is
stored is used, and an account is copied at most once more for each return of another."""
_LEAST_PAGES = 64


class Presence:
    """The pages that are stored, in ascending order of their numbers, which is that of their age."""

    def __init__(self) -> None:
        self._numbers = np.zeros(_LEAST_PAGES, np.int64)
        self._here = np.zeros((_LEAST_PAGES, PAGE_ACCOUNTS // 8), np.uint8)
        """a bit for each account that is still there"""
        self._count = np.zeros(_LEAST_PAGES, np.int16)
        """of these bits; 0: the page is dropped"""
        self._written = np.zeros(_LEAST_PAGES, np.int16)
        """accounts that a page was written with"""
        self._group = np.zeros(_LEAST_PAGES, np.int8)
        self._left = np.zeros(_LEAST_PAGES, np.bool_)
        """whether accounts have left it since the last ``take_left``"""
        self._used = 0

    def add(self, number: int, here: bytes, *, written: int, group: int) -> None:
        """Add a page, with a higher number than any other. ``here`` has a bit for each account that is there."""
        if self._used == len(self._numbers):
            self._grow()
        row = self._used
        self._numbers[row], self._written[row], self._group[row], self._left[row] = number, written, group, False
        self._here[row] = np.frombuffer(here, np.uint8)
        self._count[row] = int.from_bytes(here, "little").bit_count()
        self._used += 1

    def _grow(self) -> None:
        """Leave out the rows of dropped pages, and make half as many again."""
        stays = np.flatnonzero(self._count[: self._used])
        more = max(_LEAST_PAGES, len(stays) // 2)

        def moved(column: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([column[stays], np.zeros((more, *column.shape[1:]), column.dtype)])

        self._numbers, self._here, self._count = moved(self._numbers), moved(self._here), moved(self._count)
        self._written, self._group, self._left = moved(self._written), moved(self._group), moved(self._left)
        self._used = len(stays)

    def leave(self, places: Ints) -> list[int]:
        """Accounts leave their places. Returns the pages that have none any more, in ascending order."""
        rows = self._at(places // PAGE_ACCOUNTS)
        slots = places % PAGE_ACCOUNTS
        bits = np.uint8(1) << (slots & 7).astype(np.uint8)
        np.bitwise_and.at(self._here.reshape(-1), rows * self._here.shape[1] + (slots >> 3), ~bits)
        np.subtract.at(self._count, rows, np.int16(1))
        self._left[rows] = True
        numbers: list[int] = self._numbers[np.unique(rows[self._count[rows] == 0])].tolist()
        return numbers

    def drop(self, numbers: Sequence[int]) -> None:
        """Drop pages."""
        rows = self._at(np.array(numbers, np.int64))
        self._count[rows] = 0
        self._left[rows] = False

    def places(self, numbers: Sequence[int]) -> Ints:
        """The places of the accounts that are still in some pages, in the order of the pages."""
        rows = self._at(np.array(numbers, np.int64))
        at, slots = np.nonzero(np.unpackbits(self._here[rows], axis=1, bitorder="little"))
        places: Ints = self._numbers[rows[at]] * PAGE_ACCOUNTS + slots
        return places

    def here(self, number: int) -> bytes:
        """A bit for each account of a page that is still there."""
        return bytes(self._here[self._row(number)])

    def all_here(self, number: int) -> bool:
        """Whether no account has left a page."""
        row = self._row(number)
        return bool(self._count[row] == self._written[row])

    def group(self, number: int) -> int:
        """The group of a page."""
        return int(self._group[self._row(number)])

    def numbers(self) -> list[int]:
        """All pages, in ascending order."""
        return self._where(self._stored)

    def sparse(self, group: int) -> list[int]:
        """The pages of a group that are to be written anew, in ascending order."""
        few = self._count < np.minimum(self._written, SPARSE)
        return self._where(self._stored & few & (self._group == group))

    def oldest(self) -> int | None:
        """The oldest page, of accounts seen once if there is one. None if there is no page."""
        stored = self._stored
        once = stored & (self._group == ONCE)
        found = np.flatnonzero(once if once.any() else stored)
        return int(self._numbers[found[0]]) if len(found) else None

    def take_left(self) -> list[int]:
        """The pages that accounts have left since the last call, in ascending order."""
        numbers = self._where(self._left)
        self._left[:] = False
        return numbers

    def memory_bytes(self) -> int:
        """Bytes of the columns."""
        columns = self._numbers, self._here, self._count, self._written, self._group, self._left
        return sum(column.nbytes for column in columns)

    @property
    def _stored(self) -> NDArray[np.bool_]:
        return self._count > 0

    def _where(self, chosen: NDArray[np.bool_]) -> list[int]:
        numbers: list[int] = self._numbers[chosen].tolist()
        return numbers

    def _row(self, number: int) -> int:
        return int(np.searchsorted(self._numbers[: self._used], number))

    def _at(self, numbers: Ints) -> NDArray[np.intp]:
        return np.searchsorted(self._numbers[: self._used], numbers)
