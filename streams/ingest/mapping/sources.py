"""Compiles the sources and conditions of a map into functions from rows to a column.

A row may become one event. It is a record's document, or one element of the list in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, Protocol

import xxhash

from detectors.events.event import MAX_ID_BYTES
from streams.codecs.codec import Codec
from streams.deadletters import Why
from streams.grammar.paths import Path, Shape, lookup, parse_path
from streams.grammar.times import number_of, short
from streams.ingest.mapping.records import Records
from streams.ingest.mapping.values import ConvertColumn, Unreadable, ValueColumn, column_converter, text_of, word_of
from streams.settings.sources import Condition, Source

_GIVEN: frozenset[type] = frozenset((str, type(None)))


@dataclass(slots=True)
class Rows:
    """The rows of one stretch of records."""

    records: Records
    codec: Codec
    shape: RowShape
    documents: Sequence[Any]
    text: bytes | None
    """see Documents of codecs/codec.py"""
    index: list[int] | None = None
    """place of each row's record; None if there is one row for each record, in order"""
    outer_shape: Shape | None = None
    outers: Sequence[Any] = ()
    """with ``each``: the document around each row's element"""
    element: list[int] = field(default_factory=list)
    """with ``each``: place of each row in its list"""
    surrogates: bool = False
    """see Documents of codecs/codec.py"""
    _keys: ValueColumn | None = None
    _columns: dict[Path, ValueColumn] | None = None

    def column(self, path: Path) -> ValueColumn:
        """The value at a path in each row."""
        if self._columns is None:
            self._columns = self.shape.columns(self.documents)
        column = self._columns.get(path)
        if column is None:
            column = self._columns[path] = self.shape.column(self.documents, path, self.text)
        return column

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.documents)

    def of_records(self, column: Sequence[Any]) -> Sequence[Any]:
        """A column of the records as a column of the rows."""
        return column if self.index is None else [column[place] for place in self.index]

    def key_documents(self) -> ValueColumn:
        """The document of the record's key in each row."""
        if self._keys is None:
            read = self.codec.key_document
            self._keys = [None if key is None else read(key) for key in self.of_records(self.records.key)]
        return self._keys

    def kept(self, keep: Sequence[bool]) -> Rows:
        """Select the rows for which ``keep`` is true."""
        index = range(len(keep)) if self.index is None else self.index
        return Rows(
            self.records,
            self.codec,
            self.shape,
            list(compress(self.documents, keep)),
            self.text,
            list(compress(index, keep)),
            self.outer_shape,
            list(compress(self.outers, keep)),
            list(compress(self.element, keep)),
            self.surrogates,
        )


class DocumentShape:
    """Reads documents that were decoded as a whole, in plain values."""

    def columns(self, documents: Sequence[Any]) -> dict[Path, list[Any]]:
        """See RowShape."""
        return {}

    def column(self, documents: Sequence[Any], path: Path, text: bytes | None) -> list[Any]:
        """See RowShape."""
        return [lookup(document, path) for document in documents]


class RowShape(Protocol):
    """Reads the values at paths from rows of one type."""

    def columns(self, documents: Sequence[Any]) -> dict[Path, list[Any]]:
        """See Shape of grammar/paths.py."""
        ...

    def column(self, documents: Sequence[Any], path: Path, text: bytes | None) -> list[Any]:
        """See Shape of grammar/paths.py."""
        ...


ReadColumn = Callable[[Rows], ValueColumn]
"""Gives the value of a source in each row."""


def outer_only(source: Source) -> bool:
    """Whether a source has the same value for all elements of a record's list."""
    return all(piece.path is None for piece in source.within() if not (piece.first or piece.join))


def paths_of(source: Source, place: str) -> list[Path]:
    """The paths in a source and in all sources inside it; ``place`` is "path" or "outer"."""
    found = [getattr(piece, place) for piece in source.within()]
    return [parse_path(path) for path in found if path is not None]


def compile_source(source: Source, finish: Callable[[Source], ConvertColumn], *, numbered: bool = False) -> ReadColumn:
    """Make the function that reads a source. ``finish`` gives the conversion of a source's raw values.

    ``numbered``: append the element's number to a text that is the same for all elements of a list.
    """
    if source.first is not None:
        return _first([compile_source(piece, finish, numbered=numbered) for piece in source.first])
    shared = numbered and outer_only(source)
    if source.join is not None:
        made = _joined(source, [compile_source(piece, lambda _: _texts) for piece in source.join], finish(source))
    elif source.value is not None:
        return _constant(finish(source)([source.value])[0])
    else:
        place, prepare, convert = _place(source), _prepared(source), finish(source)

        def made(rows: Rows) -> ValueColumn:
            return convert(prepare(place(rows)))

    if not shared:
        return made
    return lambda rows: _numbered(made(rows), rows.element)


_texts = column_converter(text_of, Why.WRONG_TYPE, _GIVEN)


def _constant(value: Any) -> ReadColumn:
    return lambda rows: [value] * len(rows)


def _first(pieces: list[ReadColumn]) -> ReadColumn:
    def first(rows: Rows) -> ValueColumn:
        column = pieces[0](rows)
        for piece in pieces[1:]:
            if None not in column:
                break
            column = [other if value is None else value for value, other in zip(column, piece(rows), strict=True)]
        return column

    return first


def _joined(source: Source, pieces: list[ReadColumn], convert: ConvertColumn) -> ReadColumn:
    separator = " " if source.separator is None else source.separator
    prepare = _prepared(source)

    def join(parts: tuple[Any, ...]) -> Any:
        if None in parts:
            return None
        bad = next((part for part in parts if type(part) is Unreadable), None)
        if bad is not None:
            return bad
        text = separator.join(parts)
        if len(text) * 4 <= MAX_ID_BYTES or len(text.encode(errors="surrogatepass")) <= MAX_ID_BYTES:
            return text
        return xxhash.xxh3_128_hexdigest(text.encode(errors="surrogatepass"))

    return lambda rows: convert(
        prepare([join(parts) for parts in zip(*(piece(rows) for piece in pieces), strict=True)])
    )


def _numbered(column: ValueColumn, element: list[int]) -> ValueColumn:
    return [
        value if value is None or type(value) is Unreadable else f"{value}#{number}"
        for value, number in zip(column, element, strict=True)
    ]


def _place(source: Source) -> ReadColumn:
    if source.path is not None:
        path = parse_path(source.path)
        return lambda rows: rows.column(path)
    if source.outer is not None:
        outer = parse_path(source.outer)

        def around(rows: Rows) -> ValueColumn:
            assert rows.outer_shape is not None
            return rows.outer_shape.column(rows.outers, outer, rows.text)

        return around
    if source.key is True:
        return lambda rows: [_text_of_bytes(key) for key in rows.of_records(rows.records.key)]
    if source.key is not None:
        inside = parse_path(source.key)
        return lambda rows: [lookup(document, inside) for document in rows.key_documents()]
    if source.header is not None:
        name = source.header
        return lambda rows: [
            _header(headers, name) for headers in rows.of_records(rows.records.headers or ((),) * len(rows))
        ]
    return lambda rows: list(rows.of_records(rows.records.timestamp_ms or [None] * len(rows.records.value)))


def _header(headers: Sequence[tuple[str, bytes | None]], name: str) -> Any:
    for each, value in reversed(headers):
        if each == name:
            return _text_of_bytes(value)
    return None


def _text_of_bytes(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        return Unreadable(Why.INVALID_UTF8, f"byte {error.start} is not valid UTF-8")


def _prepared(source: Source) -> Callable[[ValueColumn], ValueColumn]:
    """Make the function that drops words for "not given" and applies the pattern, before values are converted."""
    if source.none is None and source.pattern is None:
        return lambda column: column
    nothing = frozenset(source.none or ())
    search = None if source.pattern is None else re.compile(source.pattern).search

    def one(value: Any) -> Any:
        if value is None or type(value) is Unreadable:
            return value
        try:
            text = word_of(value)
        except TypeError:
            return value
        if text in nothing:
            return None
        if search is None:
            return value
        found = search(text)
        if found is None:
            return Unreadable(Why.NO_MATCH, f"{short(text)} does not match the pattern {source.pattern}")
        return found[1]

    return lambda column: [one(value) for value in column]


def name_of(source: Source) -> str:
    """Name of a source's place, for messages."""
    name = "the record's timestamp" if source.timestamp else "a constant"
    if source.path is not None:
        name = str(parse_path(source.path))
    elif source.outer is not None:
        name = f"outer {parse_path(source.outer)}"
    elif source.key is not None:
        name = "the key" if source.key is True else f"key {parse_path(source.key)}"
    elif source.header is not None:
        name = f"header {source.header}"
    elif source.first is not None or source.join is not None:
        word, pieces = (" or ", source.first) if source.first is not None else (" and ", source.join or ())
        name = word.join(name_of(piece) for piece in pieces)
    return name


def compile_condition(condition: Condition) -> Callable[[Rows], list[bool]]:
    """Make the function that tests a condition on each row."""
    raw = compile_source(condition, lambda _: lambda column: column)
    tests = _tests(condition)

    def one(value: Any) -> bool:
        word = None if type(value) is Unreadable else _word(value)
        return all(test(word, value) for test in tests)

    def column(rows: Rows) -> list[bool]:
        values = raw(rows)
        if not set(map(type, values)) <= _GIVEN:  # 1 and true are equal, and not the same word
            return [one(value) for value in values]
        different = set(values)
        answers = {value: one(value) for value in different}
        return [answers[values[0]]] * len(values) if len(different) == 1 else [answers[value] for value in values]

    return column


def _word(value: Any) -> str | None:
    if value is None or value == "":
        return None
    try:
        return word_of(value)
    except TypeError:
        return None


Test = Callable[[str | None, Any], bool]


def _tests(condition: Condition) -> list[Test]:
    tests: list[Test] = []
    if condition.is_ is not None:
        wanted = frozenset(condition.is_)
        tests.append(lambda word, _: word in wanted)
    if condition.is_not is not None:
        unwanted = frozenset(condition.is_not)
        tests.append(lambda word, _: word not in unwanted)
    if condition.matches is not None:
        search = re.compile(condition.matches).search
        tests.append(lambda word, _: word is not None and search(word) is not None)
    if condition.at_least is not None or condition.at_most is not None:
        least = float("-inf") if condition.at_least is None else condition.at_least
        most = float("inf") if condition.at_most is None else condition.at_most
        tests.append(lambda _, value: _between(value, least, most))
    if condition.exists is not None:
        exists = condition.exists
        tests.append(lambda _, value: (value is not None and value != "") is exists)
    return tests


def _between(value: Any, least: float, most: float) -> bool:
    try:
        return least <= number_of(value, "a number") <= most
    except (TypeError, ValueError):
        return False
