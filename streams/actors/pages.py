"""Pages of idle accounts in the store of a task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from detectors.accounts.pages import PIECES, Piece, pieces_of
from detectors.accounts.state import ACCOUNT_PAGES
from streams.state.sealed import decode_all, encode, seal
from streams.state.store import SCRATCH, Store

PAGES_AT_ONCE = 2
"""Pages of a checkpoint that are read together, and become part of the stored state in one write: about a megabyte."""
PIECES_AT_ONCE = PAGES_AT_ONCE * PIECES
_KEY = ACCOUNT_PAGES.prefix + b"%d"
_SCRATCH_KEY = SCRATCH + _KEY


class StoredPages:
    """See AccountPages. Pages that no checkpoint has are temporary: a restart of the task forgets them.

    A checkpoint reads its pages from the disk while they are sent, and again when they become part of the stored state.
    So however many they are, they are never in memory together, and those that are dropped meanwhile stay until then.

    Without a store (the disk cannot be used), pages are in memory.
    """

    def __init__(self) -> None:
        self._store: Store | None = None
        self._in_memory: dict[int, bytes] = {}
        """pieces by number"""
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

    def read(self, numbers: Sequence[int]) -> list[Piece]:
        """See AccountPages."""
        found = self._find(numbers)
        values = [value for value in found if value is not None]
        if len(values) < len(found):
            raise KeyError(numbers[found.index(None)])
        return decode_all(values, Piece)

    def read_page(self, page: int) -> list[Piece]:
        """See AccountPages."""
        records = self._records([page])
        if not records:
            raise KeyError(page)
        return decode_all((value for _, value in records), Piece)

    def write(self, pieces: Iterable[tuple[int, Piece]]) -> None:
        """See AccountPages."""
        left = iter(pieces)
        while part := [(number, seal(encode(piece))) for number, piece in islice(left, PIECES_AT_ONCE)]:
            self.temporary_bytes += sum(len(value) for _, value in part)
            self._temporary.update(number // PIECES for number, _ in part)
            if self._store is None:
                self._in_memory.update(part)
            else:
                self._store.write_scratch((_SCRATCH_KEY % number, value) for number, value in part)

    def drop(self, pages: Iterable[int]) -> None:
        """See AccountPages. The checkpoint after it deletes the records of a page."""
        gone: list[int] = []
        for page in pages:
            (self._dropped if page in self._cut else gone).append(page)
        self._delete(gone)

    def cut(self) -> None:
        """Begin a checkpoint that has all pages. ``stored`` must have ended for the one before."""
        self.temporary_bytes = 0
        self._cut, self._temporary = self._temporary, set()

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """The records of the pages that are new in the checkpoint. May be read more than once."""
        for pages in self._cut_pages():
            yield from self._records(pages)

    def stored(self) -> Iterator[None]:
        """Make the pages of the checkpoint part of the stored state. Other tasks may run between the steps."""
        if self._store is not None:
            for pages in self._cut_pages():
                self._store.promote(self._records(pages))
                self._store.delete_scratch(_scratch_keys(pages))
                self._cut.difference_update(pages)
                yield
        self._cut = set()
        self._delete(self._dropped)
        self._dropped = []

    def _cut_pages(self) -> Iterator[list[int]]:
        pages = sorted(self._cut)
        for begin in range(0, len(pages), PAGES_AT_ONCE):
            yield pages[begin : begin + PAGES_AT_ONCE]

    def _records(self, pages: Iterable[int]) -> list[tuple[bytes, bytes]]:
        """The pieces that these pages have."""
        numbers = [number for page in pages for number in pieces_of(page)]
        found = zip(numbers, self._find(numbers), strict=True)
        return [(piece_key(number), value) for number, value in found if value is not None]

    def _find(self, numbers: Sequence[int]) -> list[bytes | None]:
        if self._store is None:
            return list(map(self._in_memory.get, numbers))
        keys = [(_SCRATCH_KEY if self._is_scratch(number // PIECES) else _KEY) % number for number in numbers]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        values: list[bytes | None] = [None] * len(keys)
        for at, value in zip(order, self._store.get_many([keys[at] for at in order]), strict=True):
            values[at] = value
        return values

    def _is_scratch(self, page: int) -> bool:
        return page in self._temporary or page in self._cut

    def _delete(self, pages: Sequence[int]) -> None:
        temporary = [page for page in pages if page in self._temporary]
        self._temporary.difference_update(temporary)
        if self._store is not None:
            self._store.delete_scratch(_scratch_keys(temporary))
            return
        for page in pages:
            for number in pieces_of(page):
                self._in_memory.pop(number, None)


def piece_key(number: int) -> bytes:
    """The key of the record of a piece."""
    return _KEY % number


def _scratch_keys(pages: Iterable[int]) -> Iterator[bytes]:
    return (_SCRATCH_KEY % number for page in pages for number in pieces_of(page))
