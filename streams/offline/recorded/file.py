"""A recorded file: its rows, and the input that reads them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from detectors.events.event import FIELDS, REQUIRED
from streams.grammar.fields import TIMES
from streams.grammar.paths import WHOLE
from streams.offline.recorded.documents import DocumentStream
from streams.offline.recorded.formats import Format, text_format
from streams.offline.recorded.lines import line_end, ndjson_rows
from streams.offline.recorded.losses import shortened
from streams.offline.recorded.parquet import Parquet
from streams.offline.recorded.row import Row
from streams.offline.recorded.source import PARQUET, FileSource
from streams.offline.recorded.table import Table
from streams.settings.inputs import Input, ReplayMap
from streams.settings.section import SettingsError
from streams.settings.sources import PathSpec, Source

SHOWN_COLUMNS = 40
KEY_RECORDS = 100
"""Number of records in which names of native fields are searched."""


class TableColumns(NamedTuple):
    """Columns of a table: all names, and those of times that become ISO 8601 text."""

    names: Sequence[str] = ()
    moments: Sequence[str] = ()


class RecordedFile:
    """A file and its map. Without a map, its columns or keys must have the names of an event's fields.

    It can be read more than once. Raises SettingsError if it cannot be read, or if it lacks a column of the map.
    """

    def __init__(self, path: Path, layout: ReplayMap | None = None) -> None:
        self.path = path
        self._source = FileSource(path)
        self._declared: Format | None = None if layout is None else layout.file.format
        self._columns = None if layout is None else layout.file.columns
        self._parquet: Parquet | None = None
        self.name = path.name
        self.size_bytes = self._source.size_bytes
        self.format: Format = self._recognised()
        if self._columns is not None and self.format not in ("csv", "tsv"):
            raise SettingsError(f"{path} is {self.format}, which has names of its own; remove columns from the map")
        self.input = self._input(ReplayMap() if layout is None else layout)
        """the input that reads the file's rows"""

    def share_read(self) -> float:
        """The share of the file that has been read: of its bytes on disk, of Parquet in rows."""
        if self._parquet is not None:
            return self._parquet.share_read
        return self._source.read_bytes() / max(self.size_bytes, 1)

    def rows(self) -> Generator[Row, None, None]:
        """All rows, in the file's order. Raises SettingsError."""
        with self._open() as (_, rows):
            if self._source.encoding:
                yield from map(self._with_original, rows)
            else:
                yield from rows

    def _with_original(self, row: Row) -> Row:
        original = self._source.original(row.original)
        return Row(row.value, original, row.line, row.lines, row.reason, row.message)

    def _recognised(self) -> Format:
        if self._source.is_parquet():
            return "parquet"
        if self._declared == "parquet":
            raise SettingsError(
                f'{self.path} is not a Parquet file, but the map has format = "parquet"; correct the map'
            )
        head = self._source.head()
        if head.startswith(PARQUET):
            raise SettingsError(f"{self.path} is a compressed Parquet file; uncompress it first")
        return text_format(self.path, head, self._declared)

    @contextmanager
    def _open(self) -> Iterator[tuple[TableColumns, Generator[Row, None, None]]]:
        """The columns and the rows; JSON files have no columns."""
        path = str(self.path)
        if self.format == "parquet":
            with self._source.opened() as raw:
                self._parquet = parquet = Parquet(raw, path)
                with closing(parquet.rows()) as rows:
                    yield TableColumns(parquet.columns, parquet.moments()), rows
            return
        head = self._source.head() if self.format == "ndjson" else b""
        with closing(self._source.chunks()) as chunks:
            if self.format in ("csv", "tsv"):
                table = Table(chunks, self.format, path, self._columns)
                columns, made = TableColumns(table.columns), table.rows()
            elif self.format == "ndjson":
                columns, made = TableColumns(), ndjson_rows(chunks, line_end(head))
            else:
                columns, made = TableColumns(), DocumentStream(chunks).rows()
            with closing(made) as rows:
                yield columns, rows

    def _input(self, layout: ReplayMap) -> Input:
        layout_map = layout.model_dump(exclude={"file"}, exclude_defaults=True, by_alias=True)
        with self._open() as (columns, rows):
            if layout.map is None and layout.transform is None:
                layout_map |= self._native(columns, rows, layout)
            elif columns.names:
                place = "path" if layout.each is None else "outer"  # the paths of elements begin inside a column
                if layout.each not in (None, WHOLE):
                    self._check("each", Source(path=layout.each), columns.names, "path")
                for name, source in (layout.map or {}).items():
                    self._check(name, source, columns.names, place)
        if self.format in ("csv", "tsv"):
            layout_map = _by_column(layout_map)
        return Input.model_validate({**layout_map, "topic": self.name})

    def _check(self, name: str, source: Source, columns: Sequence[str], place: str) -> None:
        if source.first is not None:
            if not any(self._has(getattr(piece, place), columns) for piece in source.first):
                self._lacks(" or ".join(str(getattr(piece, place)) for piece in source.first), name, columns)
            return
        for piece in source.join or (source,):
            if not self._has(getattr(piece, place), columns):
                self._lacks(repr(getattr(piece, place)), name, columns)

    def _has(self, path: PathSpec | None, columns: Sequence[str]) -> bool:
        if path is None:
            return True
        if not isinstance(path, str):
            return path[0] in columns
        nested = self.format == "parquet"
        return path in columns or (nested and any(path.startswith(f"{column}.") for column in columns))

    def _lacks(self, what: str, name: str, columns: Sequence[str]) -> None:
        raise SettingsError(
            f"{self.path} has no column {what} (mapped to {name}); it has {_listed(columns)}{self._hint(columns)}"
        )

    def _hint(self, columns: Sequence[str]) -> str:
        """A hint at another separator if the table seems to have one."""
        other = next((mark for mark in ",;|" if len(columns) == 1 and mark in columns[0]), None)
        if other is None:
            return ""
        return f' (as one column; the file seems to be separated by {other!r}, so format = "csv" would fit)'

    def _native(self, columns: TableColumns, rows: Iterator[Row], layout: ReplayMap) -> dict[str, Any]:
        """The map of a file with native column names; JSON files need none."""
        names = columns.names or self._keys(rows)
        needed = [name for name in REQUIRED if name != "metric" or layout.metric is None]
        missing = [name for name in needed if name not in names]
        if names and missing:
            raise SettingsError(
                f"{self.path} has no column {', '.join(missing)}; it has {_listed(names)}"
                f"{self._hint(names)}. Give a map with --map"
            )
        if not columns.names:
            return {}
        fields: dict[str, Any] = {name: {"path": [name]} for name in columns.names if name in FIELDS}
        for name in TIMES:
            if name in columns.moments:
                fields[name]["time"] = "iso"
        return {"map": fields}

    @staticmethod
    def _keys(rows: Iterator[Row]) -> Sequence[str]:
        """The keys of the first records, not only of the first one, which may be bad."""
        names: dict[str, None] = {}
        for row in islice(rows, KEY_RECORDS):
            try:
                document = orjson.loads(row.value or b"")
            except orjson.JSONDecodeError:
                continue
            if isinstance(document, dict):
                names |= dict.fromkeys(document)
        return list(names)


def _by_column(section: Any) -> Any:
    """A map with each path as the name of a column, in which a dot has no meaning."""
    if isinstance(section, dict):
        return {
            key: [value] if key == "path" and isinstance(value, str) else _by_column(value)
            for key, value in section.items()
        }
    return [_by_column(item) for item in section] if isinstance(section, list | tuple) else section


def _listed(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - SHOWN_COLUMNS:,} more" if len(columns) > SHOWN_COLUMNS else ""
    return ", ".join(shortened(column.encode()) for column in columns[:SHOWN_COLUMNS]) + more
