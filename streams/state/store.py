"""The store on disk: one RocksDB for each partition of a worker, a copy of the changelog up to an offset.

The changelog in Kafka is authoritative. With the store, a restart reads only the last records of the changelog, and
state may be larger than memory. A checkpoint is written here only after Kafka has committed it, in one batch with the
next offset of the changelog, so the store is always the state of one checkpoint. It may be old or missing at any time.
A store that cannot be used is deleted, never repaired.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import msgspec
import structlog
from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from detectors.failures import MachineError

log = structlog.get_logger()

MEMTABLE_BYTES = 4 * 1024 * 1024
"""Of each store, at most two. A worker has a store for each of its partitions."""
BLOCK_CACHE_BYTES = 32 * 1024 * 1024
"""Of all stores of a worker in total."""
BLOOM_BITS = 10
"""Bits for each key: 1 % of the look-ups of missing keys read the disk. Each new target is looked up once."""
FILTER_PIECE_BYTES = 4 * 1024
OPEN_FILES = 64
SCANNED_AT_ONCE = 1_000
"""Records of one scan. RocksDB frees the memtables and files of a scan only when it ends: a scan that takes as long as
closing a window of a million targets costs another 4 MiB in each store (measured)."""

STAMP_KEY = b"stamp"
PROBE_KEY = b"probe"
"""Keys that the changelog does not have."""


SCRATCH = b"~"
"""Prefix of temporary keys, which are deleted when the store is opened."""
_AFTER_SCRATCH = b"\x7f"


class StoreError(MachineError):
    """The store cannot be read or written. The changelog still has the complete state."""


class Stamp(msgspec.Struct):
    """What the store is a copy of: the partition, the random id of its changelog, and the next offset."""

    origin: str
    born: str
    next_offset: int


@cache
def _shared_cache() -> Cache:
    return Cache(BLOCK_CACHE_BYTES)


class Store:
    """A copy of one changelog partition. Keys and values are bytes. Not safe for threads."""

    def __init__(self, path: Path, origin: str, *, read_once: bool = False) -> None:
        """Open or make the store at ``path``. Raises StoreError, also if it cannot be written.

        ``read_once``: most values are read at random, and seldom again. Half the CPU time for each (measured).
        """
        self.path = path
        self._read_once = read_once
        self._origin = origin
        self._db: Any = None
        self.stamp: Stamp | None = None
        """None: the store is empty"""
        self.failed = False
        """a write or read has failed: this store must not be used again"""
        self._open()
        value = self.get(STAMP_KEY)
        if value is not None:
            stamp = msgspec.msgpack.decode(value, type=Stamp)
            if stamp.origin == origin:
                self.stamp = stamp
            else:
                log.warning(
                    "the store is of another changelog and is cleared", path=str(path), was=stamp.origin, now=origin
                )
                self.clear()
        self._try_to_write()

    def _open(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._db = Rdict(str(self.path), _options(read_once=self._read_once))
            if self._read_once:
                self._db.set_read_options(_read_once())
            self._db.delete_range(SCRATCH, _AFTER_SCRATCH)
        except Exception as error:  # RocksDB raises bare exceptions
            raise StoreError(f"{self.path}: {error}") from error

    def _try_to_write(self) -> None:
        try:
            self._db.put(PROBE_KEY, b"")
            self._db.flush_wal(False)
        except Exception as error:
            self.close()
            raise StoreError(f"{self.path}: {error}") from error

    def get(self, key: bytes) -> bytes | None:
        """The value of a key. Raises StoreError."""
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._failure(error) from error
        return value

    def get_many(self, keys: Sequence[bytes], prefixes: Sequence[bytes] = (b"",)) -> list[bytes | None]:
        """The value of each key under the first of ``prefixes`` that has one. Raises StoreError.

        The keys of each prefix are read together: 10 µs a key instead of 27 if they are not in the cache (measured).
        """
        values: list[bytes | None] = [None] * len(keys)
        missing: Sequence[int] = range(len(keys))
        try:
            for prefix in prefixes:
                found = self._db.get([prefix + keys[place] for place in missing])
                for place, value in zip(missing, found, strict=True):
                    values[place] = value
                missing = [place for place in missing if values[place] is None]
        except Exception as error:
            raise self._failure(error) from error
        return values

    def write(self, records: Iterable[tuple[bytes, bytes | None]], *, born: str, next_offset: int) -> None:
        """Apply records (None deletes) and the next offset, all or nothing. Raises StoreError."""
        stamp = Stamp(self._origin, born, next_offset)
        batch = WriteBatch(raw_mode=True)
        for key, value in records:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(STAMP_KEY, msgspec.msgpack.encode(stamp))
        try:
            self._db.write(batch)
        except Exception as error:
            raise self._failure(error) from error
        self.stamp = stamp

    def write_scratch(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Write temporary records, which a crash may lose. Raises StoreError."""
        self._put(records, _unlogged())

    def promote(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Write records from after the store's offset; ``write`` updates that offset later. Raises StoreError."""
        self._put(records, WriteOptions())

    def _put(self, records: Iterable[tuple[bytes, bytes]], options: WriteOptions) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in records:
            batch.put(key, value)
        try:
            self._db.write(batch, options)
        except Exception as error:
            raise self._failure(error) from error

    def delete_scratch(self, keys: Iterable[bytes]) -> None:
        """Delete temporary records. Raises StoreError."""
        batch = WriteBatch(raw_mode=True)
        for key in keys:
            batch.delete(key)
        try:
            self._db.write(batch, _unlogged())
        except Exception as error:
            raise self._failure(error) from error

    def delete_prefix(self, prefix: bytes) -> None:
        """Delete all keys that begin with a prefix. Raises StoreError."""
        try:
            self._db.delete_range(prefix, _after(prefix), _unlogged())
        except Exception as error:
            raise self._failure(error) from error

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All keys that begin with a prefix, in order of their bytes. Raises StoreError.

        It may or may not include what is written meanwhile.
        """
        start = prefix
        while True:
            piece = self._piece(prefix, start)
            yield from piece
            if len(piece) < SCANNED_AT_ONCE:
                return
            start = piece[-1][0] + b"\0"

    def _piece(self, prefix: bytes, start: bytes) -> list[tuple[bytes, bytes]]:
        try:
            found = islice(self._db.items(from_key=start), SCANNED_AT_ONCE)
            return list(takewhile(lambda record: record[0].startswith(prefix), found))
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> StoreError:
        self.failed = True
        return StoreError(f"{self.path}: {error}")

    def clear(self) -> None:
        """Delete everything. Raises StoreError."""
        self.close()
        try:
            shutil.rmtree(self.path)
        except OSError as error:
            raise StoreError(f"{self.path}: {error}") from error
        self._open()
        self.stamp = None

    def close(self) -> None:
        """Close the files. The store cannot be used afterwards."""
        if self._db is not None:
            with contextlib.suppress(Exception):  # it is a copy: what did not reach the disk is read again
                self._db.close()
            self._db = None


def _after(prefix: bytes) -> bytes:
    r"""The first key after all keys that begin with a prefix.

    >>> _after(b"w/a"), _after(b"w\xff")
    (b'w/b', b'x')
    """
    cut = prefix.rstrip(b"\xff")
    return cut[:-1] + bytes((cut[-1] + 1,))


def _unlogged() -> Any:
    options: Any = WriteOptions()  # its stub takes this property for a method
    options.disable_wal = True
    return options


def discard(path: Path) -> None:
    """Delete a store that cannot be used, as far as the disk allows."""
    shutil.rmtree(path, ignore_errors=True)


def _read_once() -> Any:
    """How values are read that are read once: blocks are not cached, nor their checksums compared. Records have one."""
    options: Any = ReadOptions()  # its stub lacks an argument
    options.fill_cache(False)
    options.set_verify_checksums(False)
    return options


def _options(*, read_once: bool) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(MEMTABLE_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_max_open_files(OPEN_FILES)
    options.set_compression_type(DBCompressionType.none() if read_once else DBCompressionType.lz4())
    options.set_keep_log_file_num(2)
    blocks = BlockBasedOptions()
    blocks.set_block_cache(_shared_cache())
    blocks.set_bloom_filter(BLOOM_BITS, False)
    if read_once:
        blocks.set_cache_index_and_filter_blocks(False)  # in memory: few, because values are large
    else:
        blocks.set_cache_index_and_filter_blocks(True)
        # Partitioned: the filter of a file with half a million keys is larger than one shard of the cache. As a whole,
        # it would be read from the disk for every look-up.
        blocks.set_index_type(BlockBasedIndexType.two_level_index_search())
        blocks.set_partition_filters(True)
        blocks.set_metadata_block_size(FILTER_PIECE_BYTES)
    options.set_block_based_table_factory(blocks)
    return options
