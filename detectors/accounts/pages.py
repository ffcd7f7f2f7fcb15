"""Pages of idle accounts, and where they are stored."""

from __future__ import annotations

from typing import Protocol

import msgspec

PAGE_ACCOUNTS = 64
"""Accounts of a page: about 20 kB. An idle account that acts again costs the reading of its page."""


class Page(msgspec.Struct, array_like=True):
    """Accounts that were moved out of memory together. Never changed; versioned by optional fields."""

    rows: bytes
    """``columns.ROW`` of each account"""
    names: list[str]
    version: int = 1


class AccountPages(Protocol):
    """Where pages are stored, by number. A number is used once.

    Pages are written and dropped at any time between checkpoints; what was written since the last checkpoint must not
    be visible after a restart. ``Accounts.parts`` has the changed pages, for the changelog. None of these calls may
    raise for a page that was written and not dropped.
    """

    def __getitem__(self, number: int) -> Page:
        """The page with this number."""
        ...

    def __setitem__(self, number: int, page: Page) -> None:
        """Store a new page."""
        ...

    def __delitem__(self, number: int) -> None:
        """Drop a page."""
        ...


class PagesInMemory(dict[int, Page]):
    """Pages in memory, for tests, the lab and replays."""
