"""Recorded files as records of an input topic: CSV, TSV or NDJSON, gzipped or not, through a map."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import orjson

from detectors.events import FIELDS, MAX_TS_MS, REQUIRED, Event
from streams.codecs.codec import Codec
from streams.codecs.records import Records
from streams.settings import ReplayMap, SettingsError

_encode = msgspec.json.Encoder().encode
_ANY_TIME = np.array([MAX_TS_MS])


class RecordedFile:
    """A file and the map that reads it."""

    def __init__(self, path: Path, layout: ReplayMap) -> None:
        self._path = path
        self._layout = layout
        self._codec = Codec(layout, 0)
        self._raw: BinaryIO | None = None
        try:
            self.size_bytes = path.stat().st_size
        except OSError as error:
            raise SettingsError(f"cannot read {path}: {error.strerror}") from None

    def read_bytes(self) -> int:
        """How far the file has been read, in bytes on disk."""
        return self._raw.tell() if self._raw is not None and not self._raw.closed else self.size_bytes

    def events(self) -> Iterator[tuple[Event | None, bytes]]:
        """(event, native JSON) per row, in the file's order.

        A row that the map cannot turn into an event is (None, the row as it stands in the file): it is sent on, so
        that it becomes a dead letter like any other bad input. Raises SettingsError if the file is not of its format.
        """
        for document, original in self._documents():
            event = None if document is None else self._map(document)
            yield event, original if event is None else _encode(event)

    def labelled(self, column: str) -> Iterator[tuple[Event | None, str]]:
        """(event, text of the label's column) per row; the event is None where the map cannot make one.

        Raises SettingsError if the file is not of its format or a row has no such column.
        """
        with closing(self._documents()) as documents:
            for number, (document, _) in enumerate(documents, 1):
                if document is None:
                    yield None, ""
                    continue
                if column not in document:
                    has = ", ".join(document)
                    raise SettingsError(f"record {number} of {self._path} has no label {column!r}; it has {has}")
                yield self._map(document), str(document[column])

    def _documents(self) -> Generator[tuple[dict[str, Any] | None, bytes], None, None]:
        try:
            with self._path.open("rb") as raw:
                self._raw = raw
                plain: Any = gzip.GzipFile(fileobj=raw) if self._path.suffix == ".gz" else raw
                yield from self._lines(plain) if self._layout.file.format == "ndjson" else self._table(plain)
        except (OSError, EOFError, csv.Error) as error:
            raise SettingsError(f"{self._path} cannot be read as {self._layout.file.format}: {error}") from None

    def _map(self, document: dict[str, Any]) -> Event | None:
        good = self._codec.decode(Records.values([orjson.dumps(document)], 0), _ANY_TIME).good
        return None if good is None else Event(**{name: column[0] for name, column in good.fields.items()})

    def _table(self, plain: Any) -> Iterator[tuple[dict[str, Any] | None, bytes]]:
        delimiter = "\t" if self._layout.file.format == "tsv" else ","
        with io.TextIOWrapper(plain, encoding="utf-8", errors="surrogateescape", newline="") as text:
            reader = csv.reader(text, delimiter=delimiter)
            header = next(reader, None)
            if header is None:
                return
            self._check(header)
            for row in reader:
                if row:
                    original = delimiter.join(row).encode("utf-8", "surrogateescape")
                    yield (dict(zip(header, row, strict=True)) if len(row) == len(header) else None), original

    def _lines(self, plain: Any) -> Iterator[tuple[dict[str, Any] | None, bytes]]:
        for line in plain:
            original = line.rstrip(b"\r\n")
            if not original:
                continue
            try:
                document = orjson.loads(original)
            except orjson.JSONDecodeError:
                document = None
            yield (document if isinstance(document, dict) else None), original

    def _check(self, header: list[str]) -> None:
        for name, source in self._layout.map.items():
            if isinstance(source.path, str) and source.path not in header:
                raise SettingsError(
                    f"{self._path} has no column {source.path!r} (mapped to {name}); it has {', '.join(header)}"
                )


def native_layout(path: Path) -> ReplayMap:
    """The map of a file whose columns (first row or first record) are named as an event's fields are.

    The format is read off the name: .tsv, .ndjson, .jsonl, else CSV. Raises SettingsError.
    """
    name = path.name.removesuffix(".gz")
    kind = "tsv" if name.endswith(".tsv") else "ndjson" if name.endswith((".ndjson", ".jsonl", ".json")) else "csv"
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            first = file.readline(1 << 20).decode("utf-8", "replace").strip()
        columns = list(orjson.loads(first)) if kind == "ndjson" else first.split("\t" if kind == "tsv" else ",")
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise SettingsError(f"{path} cannot be read as {kind}: {error}") from None
    fields = {column: column for column in columns if column in FIELDS}
    if missing := [field for field in REQUIRED if field not in fields]:
        raise SettingsError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(columns)}. Say with --map where each is"
        )
    try:
        return ReplayMap.model_validate({"file": {"format": kind}, "map": fields})
    except ValueError as error:
        raise SettingsError(f"{path} cannot be read without --map: {error}") from None
