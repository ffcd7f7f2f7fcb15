"""Reads Parquet rows as JSON documents, with pyarrow (the optional extra ``truecount[parquet]``)."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator
from importlib import import_module
from types import ModuleType
from typing import Any, BinaryIO

import msgspec

from streams.offline.recorded.row import Row
from streams.settings.section import SettingsError

BATCH_ROWS = 2000
_encode = msgspec.json.Encoder(decimal_format="string").encode


class Parquet:
    """A Parquet file. ``columns`` are its top-level columns.

    A time becomes ISO 8601 text (in UTC if the file has a zone), a number stays a number, bytes become text.
    """

    def __init__(self, raw: BinaryIO, name: str) -> None:
        """Read the schema. Raises SettingsError if pyarrow is not installed, or if the file is damaged."""
        self._name = name
        self._arrow, parquet = _import(name, "pyarrow"), _import(name, "pyarrow.parquet")
        try:
            self._file = parquet.ParquetFile(raw)
        except (OSError, ValueError) as error:  # base classes of pyarrow's errors
            raise self._damaged(error) from None
        self.share_read = 0.0
        """share of the rows that have been read"""
        self.columns: list[str] = list(self._file.schema_arrow.names)
        twice = sorted({column for column in self.columns if self.columns.count(column) > 1})
        if twice:
            raise SettingsError(f"{name} has several columns named {twice[0]!r}; give each a different name")

    def moments(self) -> list[str]:
        """Names of columns with timestamps or dates, which become ISO 8601 text."""
        types = self._arrow.types
        return [
            field.name
            for field in self._file.schema_arrow
            if types.is_timestamp(field.type) or types.is_date(field.type)
        ]

    def rows(self) -> Generator[Row, None, None]:
        """All rows; a row's line is its number, and its original is its document. Raises SettingsError."""
        number = 0
        try:
            for batch in self._file.iter_batches(batch_size=BATCH_ROWS):
                columns = [self._values(column) for column in batch.columns]
                for number, values in enumerate(zip(*columns, strict=True), number + 1):  # noqa: B020  # counts on
                    document = _document(dict(zip(self.columns, values, strict=True)))
                    yield Row(document, document, number)
                self.share_read = number / self._file.metadata.num_rows
        except (OSError, ValueError) as error:
            raise self._damaged(error) from None

    def _values(self, column: Any) -> list[Any]:
        types = self._arrow.types
        if types.is_timestamp(column.type):
            # Python's times have microseconds, and events need only milliseconds.
            zone = None if column.type.tz is None else "UTC"
            column = column.cast(self._arrow.timestamp("us", zone), safe=False)
        values: list[Any] = column.to_pylist()
        if types.is_binary(column.type) or types.is_large_binary(column.type):
            values = [None if value is None else value.decode("utf-8", "surrogateescape") for value in values]
        return values

    def _damaged(self, error: Exception) -> SettingsError:
        return SettingsError(f"cannot read {self._name} as Parquet: {error}")


def _document(row: dict[str, Any]) -> bytes:
    try:
        return _encode(row)
    except UnicodeEncodeError:
        # Bytes that are not UTF-8 are copied to the document unchanged.
        return json.dumps(row, ensure_ascii=False, default=_text).encode("utf-8", "surrogateescape")


def _text(value: object) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _import(name: str, module: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError:
        raise SettingsError(f"{name} is a Parquet file; to read it, run `pip install 'truecount[parquet]'`") from None
