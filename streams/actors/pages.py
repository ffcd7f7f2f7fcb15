"""Pages of idle accounts in the store of a task."""

from __future__ import annotations

from detectors.accounts.pages import Page
from detectors.accounts.state import ACCOUNT_PAGES
from streams.state.sealed import decode, encode, seal
from streams.state.store import SCRATCH, Store


class StoredPages:
    """See AccountPages. Pages that no checkpoint has are temporary: a restart of the task forgets them.

    Without a store (the disk cannot be used), pages are in memory.
    """

    def __init__(self) -> None:
        self._store: Store | None = None
        self._in_memory: dict[int, bytes] = {}
        self._temporary: set[int] = set()
        self.temporary_bytes = 0
        """bytes of pages written since the last ``cut``"""

    def use_store(self, store: Store | None) -> None:
        """Set the store, which has the pages of the last checkpoint. Called before any other method."""
        self._store = store

    def __getitem__(self, number: int) -> Page:
        """See AccountPages."""
        key = self._key(number)
        if self._store is None:
            value = self._in_memory.get(number)
        else:
            value = self._store.get(SCRATCH + key if number in self._temporary else key)
        if value is None:
            raise KeyError(number)
        page: Page = decode(value, Page)
        return page

    def __setitem__(self, number: int, page: Page) -> None:
        """See AccountPages."""
        value = seal(encode(page))
        self.temporary_bytes += len(value)
        if self._store is None:
            self._in_memory[number] = value
            return
        self._store.write_scratch([(SCRATCH + self._key(number), value)])
        self._temporary.add(number)

    def __delitem__(self, number: int) -> None:
        """See AccountPages. The checkpoint after it deletes the record of the page."""
        self._in_memory.pop(number, None)
        if number in self._temporary and self._store is not None:
            self._store.delete_scratch([SCRATCH + self._key(number)])
            self._temporary.discard(number)

    def cut(self) -> list[int]:
        """Begin a checkpoint that has all pages. Returns those that are temporary until it is stored."""
        self.temporary_bytes = 0
        return list(self._temporary)

    def stored(self, cut: list[int]) -> None:
        """The pages of a ``cut`` are in the store now."""
        if self._store is not None and cut:
            self._store.delete_scratch(SCRATCH + self._key(number) for number in cut)
            self._temporary.difference_update(cut)

    def _key(self, number: int) -> bytes:
        return ACCOUNT_PAGES.prefix + b"%d" % number
