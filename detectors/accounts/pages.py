"""Pages of idle accounts, and where their pieces are stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

PAGE_ACCOUNTS = 256
"""Accounts of a page. Which accounts it was written with, and which are still there, are a record each."""
PIECE_ACCOUNTS = 8
"""Accounts of a piece, about 2.4 kB: what is read for an idle account that acts again. Fewer take more records."""
PIECES = PAGE_ACCOUNTS // PIECE_ACCOUNTS
"""Pieces of a full page."""


class Piece(msgspec.Struct, array_like=True):
    """Accounts that are stored together, of a page or of the table. Versioned by optional fields."""

    rows: bytes
    """``columns.ROW`` of each account"""
    names: list[str]
    version: int = 1


class AccountPages(Protocol):
    """Where the pieces of pages are stored. Page N has the pieces from N * PIECES on, as many as it needs.

    Pieces are never changed, and a number is used once. Pages are written and dropped at any time between checkpoints;
    what was written since the last checkpoint must not be visible after a restart. ``Accounts.parts`` has the changed
    pieces, for the changelog. None of these calls may raise for a page that was written and not dropped.
    """

    def read(self, numbers: Sequence[int]) -> list[Piece]:
        """The pieces with these numbers, in their order."""
        ...

    def read_page(self, page: int) -> list[Piece]:
        """All pieces of a page."""
        ...

    def write(self, pieces: Iterable[tuple[int, Piece]]) -> None:
        """Store new pieces by number."""
        ...

    def drop(self, pages: Iterable[int]) -> None:
        """Drop pages with all their pieces."""
        ...


class PagesInMemory(dict[int, Piece]):
    """Pieces in memory by number, for tests, the lab and replays."""

    def read(self, numbers: Sequence[int]) -> list[Piece]:
        """See AccountPages."""
        return [self[number] for number in numbers]

    def read_page(self, page: int) -> list[Piece]:
        """See AccountPages."""
        return [self[number] for number in pieces_of(page) if number in self]

    def write(self, pieces: Iterable[tuple[int, Piece]]) -> None:
        """See AccountPages."""
        self.update(pieces)

    def drop(self, pages: Iterable[int]) -> None:
        """See AccountPages."""
        for page in pages:
            for number in pieces_of(page):
                self.pop(number, None)


def pieces_of(page: int) -> range:
    """The numbers that the pieces of a page may have."""
    return range(page * PIECES, (page + 1) * PIECES)
