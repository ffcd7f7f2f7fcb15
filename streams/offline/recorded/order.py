"""Rows in order of time, with bounded memory: an external merge sort."""

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
"""Rows that are sorted at once. Python's objects take about twice as much."""
ROW_OVERHEAD_BYTES = 300
"""Of a row's objects, beside its bytes."""
FAN_IN = 64
"""Runs that are merged at once, each with an open file and a buffer."""
BUFFER_BYTES = 256 * 1024
"""Of an open run: all of them together are 16 MiB."""
LENGTH_BYTES = 4

Timed = tuple[int, Row]
_time = itemgetter(0)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, Row]).decode


class Order:
    """Whether events come in order of time, but for ``lateness_ms``; they are looked at batch after batch."""

    def __init__(self, lateness_ms: int) -> None:
        self._lateness_ms = lateness_ms
        self._latest = -1
        self.kept = True

    def look(self, ts: NDArray[np.int64]) -> bool:
        """Take the times of the next events; false as soon as one of them comes too late."""
        if not len(ts):
            return self.kept
        reached = np.maximum(np.maximum.accumulate(ts), self._latest)
        self.kept = self.kept and not bool((reached - ts > self._lateness_ms).any())
        self._latest = int(reached[-1])
        return self.kept


@contextmanager
def sorted_rows(timed: Iterable[Timed], memory_bytes: int = MEMORY_BYTES) -> Iterator[Iterator[Row]]:
    """The rows in order of their times; those of one time in the order in which they came.

    What does not fit into ``memory_bytes`` lies in files in the system's directory for temporary files (TMPDIR), about
    twice the size of the rows, and is removed at the end, after an error too. Raises SettingsError if there is no room.
    """
    try:
        directory = tempfile.TemporaryDirectory(prefix="truecount-sort-")
    except OSError as error:
        raise _no_room(error) from None
    with directory as name:
        try:
            runs, last = _runs(timed, Path(name), memory_bytes)
            level = 0
            while len(runs) > FAN_IN:
                level += 1
                groups = [runs[start : start + FAN_IN] for start in range(0, len(runs), FAN_IN)]
                runs = [_merged(group, Path(name) / f"{level}-{number}") for number, group in enumerate(groups)]
        except OSError as error:
            raise _no_room(error) from None
        yield (row for _, row in heapq.merge(*map(_read, runs), last, key=_time))


def _no_room(error: OSError) -> SettingsError:
    where = f"in {tempfile.gettempdir()}" if tempfile.tempdir else "in the directory for temporary files"
    return SettingsError(
        f"cannot sort the file by time {where}: {error.strerror or error}; name a directory with more room in TMPDIR"
    )


def _runs(timed: Iterable[Timed], directory: Path, memory_bytes: int) -> tuple[list[Path], list[Timed]]:
    """Sorted files, and the last run, which stays in memory."""
    runs: list[Path] = []
    batch: list[Timed] = []
    size = 0
    for item in timed:
        row = item[1]
        batch.append(item)
        # Where both are the same object, as in NDJSON, it is held once.
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
        raise OSError(f"a file of the sort is cut off: {os.strerror(5)}")
    return record
