"""Restores a task's state from the store on disk, and from the changelog what the store lacks.

The changelog is authoritative. The store is a copy: it may be old, damaged, missing or of another installation. If the
disk cannot be used, state is in memory and a metric shows it: counts must not depend on a disk.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Sequence

import structlog

from detectors.state.parts import RecordKind
from streams import metrics
from streams.deadletters import DeadLetter, Why
from streams.kafka.partition_reader import StateReader
from streams.settings.settings import Settings
from streams.state.sealed import (
    META_KEY,
    DamagedError,
    MovedError,
    StateError,
    meta_of,
    outlook_of,
    unseal,
)
from streams.state.store import Store, StoreError, discard
from streams.state.uncommitted import UncommittedRecords

log = structlog.get_logger()

WRITE_RECORDS = 2_000
"""Records that a restore applies at once; other tasks run in between."""


class StateOnDisk:
    """The store of one changelog partition, opened by ``restore``, written at checkpoints."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        partition: int,
        kinds: Sequence[RecordKind],
        *,
        read_once: bool = False,
    ) -> None:
        """``kinds`` are those of the task's parts. With a store, records of keyed kinds are read only from there.

        ``read_once``: see Store.
        """
        self._read_once = read_once
        self._in_memory = [kind for kind in kinds if not kind.keyed]
        self._keyed = [kind for kind in kinds if kind.keyed]
        self._path = settings.state.directory / settings.app / f"{topic}-{partition}"
        self._origin = f"{settings.app}/{topic}/{partition}"
        self._topic = topic
        self._partition = partition
        self._gauge_set = False
        self.store: Store | None = None
        self.born = ""
        """random id of the changelog: one that is created again under the same name has another"""
        self.totals: list[list[int]] = []
        self.configs: list[tuple[int, str]] = []
        """see Meta"""
        self.damaged: list[DeadLetter]
        self.tail: int
        """set by ``restore``: damaged records, and the number of records of the changelog that it read"""

    async def restore(self, reader: StateReader) -> dict[bytes, bytes]:
        """Bring the store up to the end of the changelog. Returns what must be in memory: without a store, everything.

        Raises KafkaError, or StateError for state of a newer version.
        """
        self.store = await asyncio.to_thread(self._open)
        try:
            saved = await self._catch_up(reader)
        except StoreError as error:
            # It could be opened, but not written or read: most likely the disk is full.
            self._use_memory_only(error)
            saved = await self._read(reader, None)
        if META_KEY in saved:
            meta = meta_of(saved[META_KEY])
            if meta.moved_to:
                raise MovedError(f"{self._topic}/{self._partition}", meta.moved_to)
            self.born, self.totals, self.configs = meta.born, meta.all_totals(), meta.configs
        self.born = self.born or uuid.uuid4().hex
        return saved

    async def _catch_up(self, reader: StateReader) -> dict[bytes, bytes]:
        if self.store is None or self.store.stamp is None:
            return await self._read(reader, None)
        # Read from the record before the offset: it is the meta record of that checkpoint, or compaction left a newer
        # one after it. Either one has the id of the changelog.
        stamp = self.store.stamp
        saved = await self._read(reader, max(0, stamp.next_offset - 1))
        if META_KEY in saved and meta_of(saved[META_KEY]).born == stamp.born:
            log.info("restored from disk", topic=self._topic, partition=self._partition, tail=self.tail)
            return saved
        log.warning("the store is of another changelog; all of this one is read", path=str(self._path))
        self.store.clear()
        return await self._read(reader, None)

    def write(self, records: Iterable[tuple[bytes, bytes | None]], next_offset: int) -> None:
        """Store the records of a checkpoint. Raises StoreError."""
        if self.store is None:
            return
        self.store.write(records, born=self.born, next_offset=next_offset)

    def delete(self, keys: Sequence[bytes]) -> None:
        """Delete records that the changelog still has: those that a damaged one has made useless. Raises StoreError."""
        if keys and self.store is not None and self.store.stamp is not None:
            self.write([(key, None) for key in keys], self.store.stamp.next_offset)

    def close(self) -> None:
        """Close the files. A store that failed is deleted: the next restore builds it from the changelog."""
        if self.store is not None:
            self.store.close()
            if self.store.failed:
                discard(self._path)
        if self._gauge_set:
            metrics.DISKLESS.dec()
            self._gauge_set = False

    # ---------------------------------------------------------------- inside

    def _open(self) -> Store | None:
        try:
            return Store(self._path, self._origin, read_once=self._read_once)
        except StoreError as error:
            first = error
        discard(self._path)
        try:
            store = Store(self._path, self._origin, read_once=self._read_once)
        except StoreError as error:
            self._use_memory_only(error)
            return None
        log.warning("the store could not be opened; it is rebuilt from the changelog", error=str(first))
        return store

    def _use_memory_only(self, error: StoreError) -> None:
        log.error("the state directory cannot be used: state is in memory only", error=str(error))
        if self.store is not None:
            self.store.close()
            self.store = None
        discard(self._path)
        metrics.DISKLESS.inc()
        self._gauge_set = True

    async def _read(self, reader: StateReader, start: int | None) -> dict[bytes, bytes]:
        """Apply the changelog from an offset. Returns the newest records that must be in memory."""
        store, born = self.store, ""
        in_memory: dict[bytes, bytes] = {}
        if store is not None and store.stamp is not None:
            born = store.stamp.born
            in_memory = {key: value for kind in self._in_memory for key, value in store.scan(kind.prefix)}
        batch: dict[bytes, bytes | None] = {}
        damaged: dict[bytes, DeadLetter] = {}
        uncommitted = UncommittedRecords(store)
        self.tail = 0
        next_offset = start or 0
        async for record in reader.records(self._topic, self._partition, start=start):
            self.tail += 1
            for key, written, offset in uncommitted.completed(record):
                value = self._undamaged(key, written, offset, damaged)
                if store is None or self._keyed_kind(key) is None:
                    _apply(in_memory, key, value)
                if store is not None:
                    batch[key] = value
                    if uncommitted and len(batch) >= WRITE_RECORDS:  # more of the same checkpoint follow
                        store.write(batch.items(), born=born, next_offset=next_offset)
                        batch = {}
                        await asyncio.sleep(0)
            if not uncommitted:
                next_offset = record.offset + 1
            if store is not None and len(batch) >= WRITE_RECORDS:
                store.write(batch.items(), born=born, next_offset=next_offset)
                batch = {}
                await asyncio.sleep(0)
        if uncommitted:
            where = f"{self._topic}/{self._partition}"
            log.warning("an incomplete checkpoint is skipped", where=where, records=len(uncommitted))
        if store is not None and self.tail:
            if META_KEY in in_memory:
                born = meta_of(in_memory[META_KEY]).born
            store.write(batch.items(), born=born, next_offset=next_offset)
        self.damaged = list(damaged.values())
        return in_memory

    def _keyed_kind(self, key: bytes) -> RecordKind | None:
        for kind in self._keyed:
            if key.startswith(kind.prefix):
                return kind
        return None

    def _undamaged(
        self, key: bytes, value: bytes | None, offset: int, damaged: dict[bytes, DeadLetter]
    ) -> bytes | None:
        """The value, or None if it is damaged; then its dead letter is added to ``damaged``."""
        letter = self._damage_of(key, value, offset)
        if letter is None:
            damaged.pop(key, None)
            return value
        damaged[key] = letter
        return None

    def _damage_of(self, key: bytes, value: bytes | None, offset: int) -> DeadLetter | None:
        """A dead letter if the record is damaged, else None. Raises StateError if the task cannot go on without it."""
        if value is None:
            return None
        try:
            kind = self._keyed_kind(key)
            if kind is not None:
                outlook_of(value, kind)
            elif key == META_KEY:
                meta_of(value)
            else:
                unseal(value)
        except DamagedError as error:
            where = f"{self._topic}/{self._partition} at offset {offset}"
            if key == META_KEY:
                raise StateError(f"{where}: {error}; without it the task cannot go on: rebuild from the log") from None
            log.error("a damaged state record is skipped", where=where, key=key.decode(errors="replace"))
            message = f"{error}; its target's count is incomplete from here on"
            return DeadLetter(self._topic, self._partition, offset, key, value, Why.DAMAGED_STATE, message)
        return None


def _apply(in_memory: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    if value is None:
        in_memory.pop(key, None)
    else:
        in_memory[key] = value
