"""Pages of idle accounts in the store of a task."""

from __future__ import annotations

from collections.abc import Iterator

from detectors.accounts.pages import Page
from detectors.accounts.state import ACCOUNT_PAGES
from streams.state.sealed import decode, encode, seal
from streams.state.store import SCRATCH, Store

WRITTEN_AT_ONCE = 64
"""Pages that become part of the stored state in one write: about a megabyte."""


class StoredPages:
    """See AccountPages. Pages that no checkpoint has are temporary: a restart of the task forgets them.

    A checkpoint reads its pages from the disk while they are sent, and again when they become part of the stored state.
    So however many they are, they are never in memory together, and those that are dropped meanwhile stay until then.

    Without a store (the disk cannot be used), pages are in memory.
    """

    def __init__(self) -> None:
        self._store: Store | None = None
        self._in_memory: dict[int, bytes] = {}
        self._temporary: set[int] = set()
        self._cut: set[int] = set()
        """temporary pages of the checkpoint that is being committed"""
        self._dropped: list[int] = []
        """of these, those that were dropped since"""
        self.temporary_bytes = 0
        """bytes of pages written since the last ``cut``"""

    def use_store(self, store: Store | None) -> None:
        """Set the store, which has the pages of the last checkpoint. Called before any other method."""
        self._store = store

    def __getitem__(self, number: int) -> Page:
        """See AccountPages."""
        page: Page = decode(self._read(number), Page)
        return page

    def __setitem__(self, number: int, page: Page) -> None:
        """See AccountPages."""
        value = seal(encode(page))
        self.temporary_bytes += len(value)
        self._temporary.add(number)
        if self._store is None:
            self._in_memory[number] = value
        else:
            self._store.write_scratch([(SCRATCH + _key(number), value)])

    def __delitem__(self, number: int) -> None:
        """See AccountPages. The checkpoint after it deletes the record of the page."""
        if number in self._cut:
            self._dropped.append(number)
            return
        self._delete(number)

    def cut(self) -> None:
        """Begin a checkpoint that has all pages. ``stored`` must have ended for the one before."""
        self.temporary_bytes = 0
        self._cut, self._temporary = self._temporary, set()

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """The records of the pages that are new in the checkpoint. May be read more than once."""
        for number in sorted(self._cut):
            yield _key(number), self._read(number)

    def stored(self) -> Iterator[None]:
        """Make the pages of the checkpoint part of the stored state. Other tasks may run between the steps."""
        if self._store is not None:
            numbers = sorted(self._cut)
            for begin in range(0, len(numbers), WRITTEN_AT_ONCE):
                part = numbers[begin : begin + WRITTEN_AT_ONCE]
                self._store.promote((_key(number), self._read(number)) for number in part)
                yield
            self._store.delete_scratch(SCRATCH + _key(number) for number in self._cut)
        self._cut = set()
        for number in self._dropped:
            self._delete(number)
        self._dropped = []

    def _read(self, number: int) -> bytes:
        if self._store is None:
            value = self._in_memory.get(number)
        else:
            temporary = number in self._temporary or number in self._cut
            value = self._store.get(SCRATCH + _key(number) if temporary else _key(number))
        if value is None:
            raise KeyError(number)
        return value

    def _delete(self, number: int) -> None:
        self._in_memory.pop(number, None)
        if number in self._temporary:
            self._temporary.discard(number)
            if self._store is not None:
                self._store.delete_scratch([SCRATCH + _key(number)])


def _key(number: int) -> bytes:
    return ACCOUNT_PAGES.prefix + b"%d" % number
