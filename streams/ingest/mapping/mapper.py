"""Rows into columns of native events: each field is read from its source.

An event needs its time, actor, target and metric, and it must be certain whether it is an undo or historic. If one of
these cannot be read, the row is refused with its reason. Any other field that cannot be read is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from detectors.events.event import COUNTRY_CHARS, FIELDS, MAX_ID_BYTES, SESSION_CHARS, TEXT_CHARS
from streams.deadletters import TOO_LONG, Why
from streams.grammar.fields import DECISIVE, DURATIONS, FLAGS, TIMES
from streams.grammar.paths import Path, Shape, parse_path
from streams.ingest.mapping.addresses import addresses
from streams.ingest.mapping.native import NATIVE, NATIVE_COLUMNS, NOBODY, NativeShape
from streams.ingest.mapping.sources import ReadColumn, Rows, compile_condition, compile_source, name_of, paths_of
from streams.ingest.mapping.values import (
    ConvertColumn,
    Unreadable,
    ValueColumn,
    booleans,
    durations,
    metrics,
    texts,
    times,
    words,
)
from streams.settings.inputs import Mapping
from streams.settings.sources import Source

LONGEST = {"session": SESSION_CHARS, "user_agent": TEXT_CHARS, "referrer": TEXT_CHARS}
"""Most characters of an optional text; longer texts are cut."""

_REFUSED = ""
"""Placeholder in a decisive field of a refused row."""


@dataclass(slots=True)
class Mapped:
    """Columns of the rows' fields, and the rows that are refused."""

    fields: dict[str, ValueColumn]
    refused: dict[int, tuple[str, str]] = field(default_factory=dict)
    """row → the reason and a sentence"""
    unread: dict[tuple[str, str], int] = field(default_factory=dict)

    def note(self, name: str, why: str, count: int = 1) -> None:
        """Count optional values of a field that were dropped or cut."""
        key = name, str(why)
        self.unread[key] = self.unread.get(key, 0) + count

    def leave_out(self, nobody: frozenset[str]) -> None:
        """Replace the actors that mean "nobody" by None."""
        actors = self.fields["actor"]
        if nobody and not nobody.isdisjoint(actors):
            self.fields["actor"] = [None if actor in nobody else actor for actor in actors]

    def readable(self, name: str, column: ValueColumn) -> ValueColumn:
        """Drop what cannot be read from an optional field's column, and count it."""
        for value in column:
            if type(value) is Unreadable:
                self.note(name, value.why)
        return [None if type(value) is Unreadable else value for value in column]


class Mapper:
    """A compiled map."""

    def __init__(self, config: Mapping) -> None:
        fields = NATIVE if config.map is None else config.map
        self._native = config.map is None
        self._default_metric = config.metric
        self._nobody = frozenset((*config.actor_placeholders(), NOBODY))
        numbered = config.each is not None
        self._sources: list[tuple[str, ReadColumn]] = [
            (name, _read(name, fields[name], native=self._native, numbered=numbered and name == "id"))
            for name in FIELDS
            if name in fields
        ]
        self._where = {name: name_of(source) for name, source in fields.items()}
        self._keep = [compile_condition(condition) for condition in config.keep]
        self._skip = [compile_condition(condition) for condition in config.skip]
        every: list[Source] = [*fields.values(), *config.keep, *config.skip]
        self.shape: Shape | NativeShape = NativeShape() if self._native else Shape(_different(every, "path"))
        self.outer_shape: Shape | None = None
        self.each: Path | None = None
        if config.each is not None and config.each != "$":
            self.each = parse_path(config.each)
            self.outer_shape = Shape({*_different(every, "outer"), self.each})
        self.fans_out = config.each is not None
        pieces = [piece for source in every for piece in source.within()]
        self.needs_headers = any(piece.header is not None for piece in pieces)
        self.needs_timestamp = any(piece.timestamp for piece in pieces)

    def where(self, name: str) -> str:
        """Name of the place that a field is read from, for messages."""
        return self._where[name]

    def filtered(self, rows: Rows) -> tuple[Rows, int]:
        """Select the rows that pass ``keep`` and ``skip``; give the number of the others too."""
        if not (self._keep or self._skip) or not len(rows):
            return rows, 0
        tests = [condition(rows) for condition in self._keep]
        tests += [[not skipped for skipped in condition(rows)] for condition in self._skip]
        kept = tests[0] if len(tests) == 1 else list(map(all, zip(*tests, strict=True)))
        left = kept.count(True)
        return (rows, 0) if left == len(rows) else (rows.kept(kept), len(rows) - left)

    def columns(self, rows: Rows) -> Mapped:
        """Read all fields of the rows."""
        size = len(rows)
        mapped = Mapped({})
        for name, source in self._sources:
            column = source(rows)
            if rows.surrogates:
                column = _characters(column, name, mapped)
            kinds = set(map(type, column))
            if Unreadable in kinds:
                decided = name in DECISIVE
                column = self._decided(name, column, mapped) if decided else mapped.readable(name, column)
            if type(None) in kinds and name in ("ts", "actor", "target"):
                self._missing(name, column, mapped)
            mapped.fields[name] = column
        for name in FIELDS:
            if name not in mapped.fields:
                mapped.fields[name] = [False if name in FLAGS else None] * size
        for name in FLAGS:
            if None in mapped.fields[name]:
                mapped.fields[name] = [value or False for value in mapped.fields[name]]
        if self._default_metric is None and None in mapped.fields["metric"]:
            self._missing("metric", mapped.fields["metric"], mapped)
        mapped.leave_out(self._nobody)
        limit_ids(mapped)
        limit_texts(mapped)
        return mapped

    def _decided(self, name: str, column: ValueColumn, mapped: Mapped) -> ValueColumn:
        """Refuse the rows in which a decisive field cannot be read."""
        for place, value in enumerate(column):
            if type(value) is Unreadable:
                why = Why.UNKNOWN_METRIC if name == "metric" and value.why == Why.UNKNOWN_WORD else value.why
                mapped.refused.setdefault(place, (why, f"{value.message} - at `{self._where[name]}`"))
        return [_REFUSED if type(value) is Unreadable else value for value in column]

    def _missing(self, name: str, column: ValueColumn, mapped: Mapped) -> None:
        if self._native:
            message = (
                "the event has no metric and its topic declares none - at `$.metric`"
                if name == "metric"
                else f"Object missing required field `{name}`"
            )
        else:
            message = f"no value for `{name}` - at `{self._where.get(name, '$')}`"
        for place, value in enumerate(column):
            if value is None:
                mapped.refused.setdefault(place, (Why.MISSING_FIELD, message))


def _different(sources: Iterable[Source], place: str) -> set[Path]:
    return {path for source in sources for path in paths_of(source, place) if path.keys}


def _read(name: str, source: Source, *, native: bool, numbered: bool) -> ReadColumn:
    """Make the function that reads a field from its source."""
    if source.exists is None:
        return compile_source(source, _finish(name, native=native), numbered=numbered)
    raw, exists = compile_source(source, lambda _: lambda column: column), source.exists
    return lambda rows: [(value is not None and value != "") is exists for value in raw(rows)]


def _finish(name: str, *, native: bool) -> Callable[[Source], ConvertColumn]:
    if native:
        column = NATIVE_COLUMNS[name]
        return lambda _: column

    def finish(source: Source) -> ConvertColumn:  # noqa: PLR0911  # one line for each kind of field
        if name in TIMES:
            return times("ms" if source.time is None else source.time)
        if name in DURATIONS:
            return durations(source.unit or "ms")
        if source.words is not None:
            return words(dict(source.words))
        if name in FLAGS:
            return booleans()
        if name == "metric":
            return metrics()
        if name == "ip":
            return addresses(source.hop or 0)
        return texts()

    return finish


def _characters(column: ValueColumn, name: str, mapped: Mapped) -> ValueColumn:
    """Replace surrogates in texts. In an actor or a target they are refused."""
    result = []
    for value in column:
        text = value
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                if name in ("actor", "target"):
                    text = Unreadable(Why.INVALID_UTF8, "bytes that are not valid UTF-8")
                else:
                    text = _replaced(value)
                    mapped.note(name, Why.INVALID_UTF8)
        result.append(text)
    return result


def _replaced(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)


def limit_ids(mapped: Mapped) -> None:
    """Refuse rows with an actor or a target that is too long; leave out owners that are too long."""
    for name in ("actor", "target"):
        for place in _too_long(mapped.fields[name]):
            size = len(mapped.fields[name][place].encode())
            message = f"{size} bytes; {MAX_ID_BYTES} are allowed - at `$.{name}`"
            mapped.refused.setdefault(place, (Why.BAD_ID, message))
    owners = _too_long(mapped.fields["owner"])
    if owners:
        mapped.note("owner", Why.BAD_ID, len(owners))
        long = frozenset(owners)
        mapped.fields["owner"] = [None if n in long else owner for n, owner in enumerate(mapped.fields["owner"])]


def limit_texts(mapped: Mapped) -> None:
    """Cut optional texts that are too long; leave out a country that is too long."""
    for name, most in (*LONGEST.items(), ("country", COUNTRY_CHARS)):
        column = mapped.fields[name]
        if max(map(len, filter(None, column)), default=0) <= most:
            continue
        mapped.note(name, TOO_LONG, sum(value is not None and len(value) > most for value in column))
        kept = None if name == "country" else most
        mapped.fields[name] = [
            value if value is None or len(value) <= most else None if kept is None else value[:kept] for value in column
        ]


def _too_long(column: Sequence[Any]) -> list[int]:
    given = column if None not in column else [value or "" for value in column]
    joined = "".join(given)
    if joined.isascii() and max(map(len, given), default=0) <= MAX_ID_BYTES:
        return []
    return [place for place, value in enumerate(given) if len(value.encode()) > MAX_ID_BYTES]
