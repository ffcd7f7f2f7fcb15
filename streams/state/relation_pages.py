"""Pages of relations on disk: what has changed since the last checkpoint is in memory, within a bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from detectors.state.parts import RELATIONS
from streams.state.sealed import decode, encode, seal
from streams.state.spill import Spill
from streams.state.store import Store

PAGE_BYTES = 500
"""Memory of a changed page: its bytes, its name, and the entry in the dict (measured: 420 to 520)."""
CHANGED_MAX = 20_000
"""Changed pages in memory (10 MB); more are written to disk before the checkpoint. A third of them at most is in
memory twice while a checkpoint is stored."""


class StoredPages:
    """See RelationPages. Without a store (the disk cannot be used) all pages are in memory."""

    def __init__(self) -> None:
        self._store: Store | None = None
        self._spill: Spill | None = None
        self._unstored: dict[str, bytes] = {}
        """all pages, if there is no store"""
        self._changed: dict[str, bytes] = {}
        """changed since the last cut, and not spilled"""
        self._in_checkpoint: dict[str, bytes] = {}
        """in the last checkpoint, and not stored yet"""

    def use_store(self, store: Store | None, spill: Spill | None) -> None:
        """Set the store, which has what was restored, and where changed records are spilled."""
        self._store, self._spill = store, spill

    def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """See RelationPages. Raises StoreError, or StateError if a page is damaged."""
        pages = [self._in_memory(name) for name in names]
        if self._store is None:
            return pages
        missing = [place for place, page in enumerate(pages) if page is None]
        if missing:
            areas = [] if self._spill is None else self._spill.areas()
            keys = [_record_key(names[place]) for place in missing]
            for place, value in zip(missing, self._store.get_many(keys, (*areas, b"")), strict=True):
                pages[place] = None if value is None else decode(value, bytes)
        return pages

    def _in_memory(self, name: str) -> bytes | None:
        page = self._changed.get(name)
        if page is None:
            page = self._in_checkpoint.get(name)
        return self._unstored.get(name) if page is None else page

    def put(self, name: str, page: bytes) -> None:
        """See RelationPages. Raises StoreError."""
        self._changed[name] = page
        if self._store is None:
            self._unstored[name] = page
        elif len(self._changed) >= CHANGED_MAX:
            self._write_out()

    def _write_out(self) -> None:
        """Spill all pages in memory. Then no page in memory is older than one in a spilled area."""
        assert self._spill is not None
        pages = self._in_checkpoint | self._changed
        self._spill.put((_record_key(name), seal(encode(page))) for name, page in sorted(pages.items()))
        self._changed, self._in_checkpoint = {}, {}

    def take_changed(self) -> Iterable[tuple[str, bytes]]:
        """See RelationPages. Called after the spilled records were cut (``KeyedState.take_changed``)."""
        self._in_checkpoint, self._changed = self._changed, {}
        return sorted(self._in_checkpoint.items())

    def load(self, name: str, page: bytes) -> None:
        """See RelationPages."""
        self._unstored[name] = page

    def stored(self) -> None:
        """Note that all of the last checkpoint is in the store."""
        self._in_checkpoint = {}

    def changed(self) -> int:
        """The number of changed pages in memory."""
        return len(self._changed)

    def memory_bytes(self) -> int:
        """See RelationPages."""
        return PAGE_BYTES * (len(self._changed) + len(self._in_checkpoint) + len(self._unstored))


def _record_key(name: str) -> bytes:
    return RELATIONS.prefix + name.encode()
