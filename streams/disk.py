"""A task's state from where it is: the store on disk if there is one, and the changelog for what it lacks.

The store is a copy that may be old, damaged, of another installation or not there at all; the changelog is the truth.
Where the disk cannot be used, state lives in memory and the worker says so: a count must not depend on a disk.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable

import structlog

from streams import metrics
from streams.deadletters import DeadLetter, Why
from streams.restore import StateReader
from streams.settings import Settings
from streams.state import (
    META_KEY,
    PLATFORM_KEY,
    WATCHED_KEY,
    DamagedError,
    MovedError,
    StateError,
    agenda_of,
    meta_of,
    unseal,
)
from streams.store import Store, StoreError, discard

log = structlog.get_logger()

WRITE_RECORDS = 2_000
"""Records applied at once in a restore; the loop turns in between."""


class StateOnDisk:
    """The store of one changelog partition, opened by ``restore``, written at checkpoints."""

    def __init__(self, settings: Settings, topic: str, partition: int) -> None:
        self._path = settings.state.directory / settings.app / f"{topic}-{partition}"
        self._origin = f"{settings.app}/{topic}/{partition}"
        self._topic = topic
        self._partition = partition
        self._shown = False
        self.store: Store | None = None
        self.born = ""
        """names the changelog's life; a changelog that was made anew under the same name has another"""
        self.totals: list[list[int]] = []
        self.configs: list[tuple[int, str]] = []
        """see Meta"""
        self.damaged: list[DeadLetter] = []
        self.tail = 0
        """records of the changelog that the last restore read"""

    async def restore(self, reader: StateReader) -> dict[bytes, bytes]:
        """Bring the store up to the changelog's end; answers what must be in memory: all of it without a store.

        Raises KafkaError, or StateError for state of a newer version.
        """
        self.store = await asyncio.to_thread(self._open)
        stamp = self.store.stamp if self.store is not None else None
        saved: dict[bytes, bytes] = {}
        if self.store is not None and stamp is not None:
            # The record before the offset is the meta record of that checkpoint, or compaction has put a newer one
            # behind it: either way what is read says which life of the changelog it belongs to.
            born = stamp.born
            saved = await self._read(reader, max(0, stamp.next_offset - 1))
            if META_KEY in saved and meta_of(saved[META_KEY]).born == born:
                log.info("restored from disk", topic=self._topic, partition=self._partition, tail=self.tail)
            else:
                log.warning("the changelog is not the one on disk; all of it is read", path=str(self._path))
                self.store.clear()
                stamp = None
        if stamp is None:
            saved = await self._read(reader, None)
        if META_KEY in saved:
            meta = meta_of(saved[META_KEY])
            if meta.moved_to:
                raise MovedError(f"{self._topic}/{self._partition}", meta.moved_to)
            self.born, self.totals, self.configs = meta.born, meta.totals, meta.configs
        self.born = self.born or uuid.uuid4().hex
        return saved

    def write(self, records: Iterable[tuple[bytes, bytes | None]], next_offset: int) -> None:
        """Keep what a checkpoint has changed. Raises StoreError."""
        if self.store is None:
            return
        self.store.write(records, born=self.born, next_offset=next_offset)

    def close(self) -> None:
        """Close the files. A store that failed is removed: the next restore makes it anew from the changelog."""
        if self.store is not None:
            self.store.close()
            if self.store.failed:
                discard(self._path)
        if self._shown:
            metrics.DISKLESS.dec()
            self._shown = False

    # ---------------------------------------------------------------- inside

    def _open(self) -> Store | None:
        try:
            return Store(self._path, self._origin)
        except StoreError as error:
            first = error
        discard(self._path)
        try:
            store = Store(self._path, self._origin)
        except StoreError as error:
            log.error("the state directory cannot be used: state is kept in memory only", error=str(error))
            metrics.DISKLESS.inc()
            self._shown = True
            return None
        log.warning("the store could not be opened; it is made anew from the changelog", error=str(first))
        return store

    async def _read(self, reader: StateReader, start: int | None) -> dict[bytes, bytes]:
        """Apply the changelog from an offset; answers the newest records that must be in memory."""
        store, born = self.store, ""
        kept: dict[bytes, bytes] = {}
        if store is not None and store.stamp is not None:
            born = store.stamp.born
            kept = dict(store.scan(PLATFORM_KEY))
        batch: dict[bytes, bytes | None] = {}
        damaged: dict[bytes, DeadLetter] = {}
        self.tail = 0
        next_offset = start or 0
        async for record in reader.records(self._topic, self._partition, start=start):
            key, value, next_offset = record.key, record.value, record.offset + 1
            self.tail += 1
            if key is None:
                continue
            letter = self._examined(key, value, record.offset)
            if letter is None:
                damaged.pop(key, None)
            else:
                damaged[key], value = letter, None
            if store is None or not key.startswith(WATCHED_KEY):
                if value is None:
                    kept.pop(key, None)
                else:
                    kept[key] = value
            if store is not None:
                batch[key] = value
                if len(batch) >= WRITE_RECORDS:
                    store.write(batch.items(), born=born, next_offset=next_offset)
                    batch = {}
                    await asyncio.sleep(0)
        if store is not None and self.tail:
            if META_KEY in kept:
                born = meta_of(kept[META_KEY]).born
            store.write(batch.items(), born=born, next_offset=next_offset)
        self.damaged = list(damaged.values())
        return kept

    def _examined(self, key: bytes, value: bytes | None, offset: int) -> DeadLetter | None:
        """A dead letter if the record is damaged. Raises StateError if nothing can be done without it."""
        if value is None:
            return None
        try:
            if key.startswith(WATCHED_KEY):
                agenda_of(value)
            elif key == META_KEY:
                meta_of(value)
            else:
                unseal(value)
        except DamagedError as error:
            where = f"{self._topic}/{self._partition} at offset {offset}"
            if key == META_KEY:
                raise StateError(f"{where}: {error}; without it the task cannot go on: rebuild from the log") from None
            log.error("a damaged state record is put aside", where=where, key=key.decode(errors="replace"))
            message = f"{error}; its target's count is incomplete from here on"
            return DeadLetter(self._topic, self._partition, offset, key, value, Why.DAMAGED_STATE, message)
        return None
