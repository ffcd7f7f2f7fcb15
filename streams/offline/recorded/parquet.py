"""Reads Parquet rows as JSON documents, with pyarrow (the optional extra ``truecount[parquet]``)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Generator
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

    A time becomes ISO 8601 text (in UTC if the file has a zone), a number stays a number, bytes become text, and a map
    becomes an object.
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
        kind = self._plain_times(column.type)
        if kind != column.type:
            column = column.cast(kind, safe=False)
        try:
            values: list[Any] = column.to_pylist()
        except (OverflowError, ValueError):  # a time that Python does not have
            values = [_value(scalar) for scalar in column]
        objects = self._objects(column.type)
        if objects is not None:
            values = list(map(objects, values))
        if types.is_binary(column.type) or types.is_large_binary(column.type):
            values = [None if value is None else value.decode("utf-8", "surrogateescape") for value in values]
        return values

    def _plain_times(self, kind: Any) -> Any:
        """A type without nanoseconds, which Python's times do not have, and with all times in UTC."""
        arrow, types = self._arrow, self._arrow.types
        unit = "us" if getattr(kind, "unit", None) == "ns" else getattr(kind, "unit", None)
        if types.is_timestamp(kind):
            return arrow.timestamp(unit, None if kind.tz is None else "UTC")
        if types.is_time64(kind):
            return arrow.time64(unit)
        if types.is_duration(kind):
            return arrow.duration(unit)
        if types.is_list(kind):
            return arrow.list_(self._plain_times(kind.value_type))
        if types.is_struct(kind):
            return arrow.struct([field.with_type(self._plain_times(field.type)) for field in kind])
        return kind

    def _objects(self, kind: Any) -> Callable[[Any], Any] | None:
        """Make a function that turns the maps in values of a type into dicts; None if it has no maps."""
        types = self._arrow.types
        if types.is_map(kind):
            inner = self._objects(kind.item_type) or _same
            return lambda pairs: None if pairs is None else {str(key): inner(value) for key, value in pairs}
        if types.is_list(kind) and (items := self._objects(kind.value_type)) is not None:
            return lambda values: None if values is None else list(map(items, values))
        if types.is_struct(kind):
            fields = {field.name: made for field in kind if (made := self._objects(field.type)) is not None}
            if fields:
                return lambda row: None if row is None else {k: fields.get(k, _same)(v) for k, v in row.items()}
        return None

    def _damaged(self, error: Exception) -> SettingsError:
        return SettingsError(f"cannot read {self._name} as Parquet: {error}")


def _same(value: Any) -> Any:
    return value


def _value(scalar: Any) -> Any:
    """A value in plain Python; the number of a time that is out of range, as text."""
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        return str(getattr(scalar, "value", ""))


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
