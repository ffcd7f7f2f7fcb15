"""A task's state from where it is: the store on disk if there is one, and the changelog for what it lacks.

The store is a copy that may be old, damaged, of another installation or not there at all; the changelog is the truth.
Where the disk cannot be used, state lives in memory and the worker says so: a count must not depend on a disk.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

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

log = structlog.get_logger()

POSITION_HEADER = "position"
"""Of state records that are written without a transaction: the position that their checkpoint is of."""

WRITE_RECORDS = 2_000
"""Records applied at once in a restore; the loop turns in between."""


class StateOnDisk:
    """The store of one changelog partition, opened by ``restore``, written at checkpoints."""

    def __init__(self, settings: Settings, topic: str, partition: int, kinds: Sequence[RecordKind]) -> None:
        """``kinds`` are those of the task's parts. With a store, records of keyed kinds are read from there alone."""
        self._in_memory = [kind for kind in kinds if not kind.keyed]
        self._keyed = [kind for kind in kinds if kind.keyed]
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
        try:
            saved = await self._follow(reader)
        except StoreError as error:
            # It could be opened, and then not be written or read: a disk that is full, most likely.
            self._do_without(error)
            saved = await self._read(reader, None)
        if META_KEY in saved:
            meta = meta_of(saved[META_KEY])
            if meta.moved_to:
                raise MovedError(f"{self._topic}/{self._partition}", meta.moved_to)
            self.born, self.totals, self.configs = meta.born, meta.totals, meta.configs
        self.born = self.born or uuid.uuid4().hex
        return saved

    async def _follow(self, reader: StateReader) -> dict[bytes, bytes]:
        if self.store is None or self.store.stamp is None:
            return await self._read(reader, None)
        # The record before the offset is the meta record of that checkpoint, or compaction has put a newer one
        # behind it: either way what is read says which life of the changelog it belongs to.
        stamp = self.store.stamp
        saved = await self._read(reader, max(0, stamp.next_offset - 1))
        if META_KEY in saved and meta_of(saved[META_KEY]).born == stamp.born:
            log.info("restored from disk", topic=self._topic, partition=self._partition, tail=self.tail)
            return saved
        log.warning("the changelog is not the one on disk; all of it is read", path=str(self._path))
        self.store.clear()
        return await self._read(reader, None)

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
            self._do_without(error)
            return None
        log.warning("the store could not be opened; it is made anew from the changelog", error=str(first))
        return store

    def _do_without(self, error: StoreError) -> None:
        log.error("the state directory cannot be used: state is kept in memory only", error=str(error))
        if self.store is not None:
            self.store.close()
            self.store = None
        discard(self._path)
        metrics.DISKLESS.inc()
        self._shown = True

    async def _read(self, reader: StateReader, start: int | None) -> dict[bytes, bytes]:
        """Apply the changelog from an offset; answers the newest records that must be in memory."""
        store, born = self.store, ""
        kept: dict[bytes, bytes] = {}
        if store is not None and store.stamp is not None:
            born = store.stamp.born
            kept = {key: value for kind in self._in_memory for key, value in store.scan(kind.prefix)}
        batch: dict[bytes, bytes | None] = {}
        damaged: dict[bytes, DeadLetter] = {}
        torn = _Torn()
        self.tail = 0
        next_offset = start or 0
        async for record in reader.records(self._topic, self._partition, start=start):
            self.tail += 1
            for key, written, offset in torn.whole(record):
                value = self._sound(key, written, offset, damaged)
                if store is None or self._keyed_kind(key) is None:
                    _keep(kept, key, value)
                if store is not None:
                    batch[key] = value
            if not torn.waiting:
                next_offset = record.offset + 1
            if store is not None and len(batch) >= WRITE_RECORDS:
                store.write(batch.items(), born=born, next_offset=next_offset)
                batch = {}
                await asyncio.sleep(0)
        if torn.waiting:
            where = f"{self._topic}/{self._partition}"
            log.warning("a checkpoint that broke off is passed over", where=where, records=len(torn.waiting))
        if store is not None and self.tail:
            if META_KEY in kept:
                born = meta_of(kept[META_KEY]).born
            store.write(batch.items(), born=born, next_offset=next_offset)
        self.damaged = list(damaged.values())
        return kept

    def _keyed_kind(self, key: bytes) -> RecordKind | None:
        for kind in self._keyed:
            if key.startswith(kind.prefix):
                return kind
        return None

    def _sound(self, key: bytes, value: bytes | None, offset: int, damaged: dict[bytes, DeadLetter]) -> bytes | None:
        """The value, or None for one that is damaged, which is noted."""
        letter = self._examined(key, value, offset)
        if letter is None:
            damaged.pop(key, None)
            return value
        damaged[key] = letter
        return None

    def _examined(self, key: bytes, value: bytes | None, offset: int) -> DeadLetter | None:
        """A dead letter if the record is damaged. Raises StateError if nothing can be done without it."""
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
            log.error("a damaged state record is put aside", where=where, key=key.decode(errors="replace"))
            message = f"{error}; its target's count is incomplete from here on"
            return DeadLetter(self._topic, self._partition, offset, key, value, Why.DAMAGED_STATE, message)
        return None


def _keep(kept: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    if value is None:
        kept.pop(key, None)
    else:
        kept[key] = value


class _Torn:
    """Holds records that were written without a transaction back until their checkpoint's last one has come.

    Such records say of which position they are. A crash leaves the first of a checkpoint without its meta record: they
    are newer than the position that the task goes on from, and what they have counted would be counted again.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, bytes | None, int, bytes]] = []

    def whole(self, record: Any) -> list[tuple[bytes, bytes | None, int]]:
        """Key, value and offset of what is sure with this record."""
        key, position = record.key, next((text for name, text in record.headers if name == POSITION_HEADER), None)
        if key is None:
            return []
        if position is None:
            return [(key, record.value, record.offset)]
        self.waiting.append((key, record.value, record.offset, position))
        if key != META_KEY:
            return []
        whole = [(k, value, offset) for k, value, offset, at in self.waiting if at == position]
        self.waiting = []
        return whole
