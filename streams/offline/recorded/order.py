"""Sorts rows by time with bounded memory: an external merge sort."""

from __future__ import annotations

import heapq
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.offline.recorded.row import Row
from streams.settings.section import SettingsError

MEMORY_BYTES = 256 * 1024 * 1024
"""Size of the rows that are sorted at once. As Python objects, they take about twice as much."""
ROW_OVERHEAD_BYTES = 300
"""Size of a row's objects without its bytes."""
FAN_IN = 64
"""Runs that are merged at once, each with an open file and a buffer."""
BUFFER_BYTES = 256 * 1024
"""Buffer of an open run: 16 MiB for all runs."""
LENGTH_BYTES = 4

Timed = tuple[int, Row]
_time = itemgetter(0)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, Row]).decode


class Order:
    """Checks, batch by batch, whether events are in order of time, except for ``lateness_ms``."""

    def __init__(self, lateness_ms: int) -> None:
        self._lateness_ms = lateness_ms
        self._latest = -1
        self.in_order = True

    def add(self, ts: NDArray[np.int64]) -> bool:
        """Add the times of the next events; false from the first late event on."""
        if not len(ts):
            return self.in_order
        reached = np.maximum(np.maximum.accumulate(ts), self._latest)
        self.in_order = self.in_order and not bool((reached - ts > self._lateness_ms).any())
        self._latest = int(reached[-1])
        return self.in_order


@contextmanager
def sorted_rows(timed: Iterable[Timed], memory_bytes: int = MEMORY_BYTES) -> Iterator[Iterator[Row]]:
    """The rows in order of their times; rows of the same time keep their order.

    Rows that do not fit into ``memory_bytes`` are written to the directory for temporary files (TMPDIR), at about twice
    their size. The files are removed at the end, also after an error. Raises SettingsError if there is no space.
    """
    try:
        directory = tempfile.TemporaryDirectory(prefix="truecount-sort-")
    except OSError as error:
        raise _no_space(error) from None
    with directory as name:
        try:
            runs, last = _runs(timed, Path(name), memory_bytes)
            level = 0
            while len(runs) > FAN_IN:
                level += 1
                groups = [runs[start : start + FAN_IN] for start in range(0, len(runs), FAN_IN)]
                runs = [_merged(group, Path(name) / f"{level}-{number}") for number, group in enumerate(groups)]
        except OSError as error:
            raise _no_space(error) from None
        yield (row for _, row in heapq.merge(*map(_read, runs), last, key=_time))


def _no_space(error: OSError) -> SettingsError:
    where = f"in {tempfile.gettempdir()}" if tempfile.tempdir else "in the directory for temporary files"
    return SettingsError(
        f"cannot sort the file by time {where}: {error.strerror or error}; set TMPDIR to a directory with more space"
    )


def _runs(timed: Iterable[Timed], directory: Path, memory_bytes: int) -> tuple[list[Path], list[Timed]]:
    """The sorted files, and the last run, which is not written to a file."""
    runs: list[Path] = []
    batch: list[Timed] = []
    size = 0
    for item in timed:
        row = item[1]
        batch.append(item)
        # If both are the same object, as in NDJSON, it counts once.
        size += len(row.original) + (0 if row.value is row.original else len(row.value or b"")) + ROW_OVERHEAD_BYTES
        if size >= memory_bytes:
            batch.sort(key=_time)
            path = directory / f"0-{len(runs)}"
            _write(batch, path)
            runs.append(path)
            batch, size = [], 0
    batch.sort(key=_time)
    return runs, batch


def _merged(runs: list[Path], path: Path) -> Path:
    _write(heapq.merge(*map(_read, runs), key=_time), path)
    for run in runs:
        run.unlink()
    return path


def _write(items: Iterable[Timed], path: Path) -> None:
    with path.open("wb", buffering=BUFFER_BYTES) as file:
        for item in items:
            record = _encode(item)
            file.write(len(record).to_bytes(LENGTH_BYTES, "big") + record)


def _read(path: Path) -> Iterator[Timed]:
    with path.open("rb", buffering=BUFFER_BYTES) as file:
        while size := file.read(LENGTH_BYTES):
            yield _decode(_exactly(file, int.from_bytes(size, "big")))


def _exactly(file: BinaryIO, size: int) -> bytes:
    record = file.read(size)
    if len(record) < size:
        raise OSError(f"a temporary file of the sort is cut off: {os.strerror(5)}")
    return record
