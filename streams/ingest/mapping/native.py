"""Reads native events field by field: a bad optional field costs the field, not the event.

A stretch of native events that are all good is decoded into ``Event`` at once. This module reads any other stretch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from detectors.events.event import FIELDS, MAX_TS_MS, METRICS
from streams.deadletters import BAD_VALUE, Why
from streams.grammar.paths import Path, parse_path
from streams.grammar.times import kind_of, short, unit_hint
from streams.ingest.mapping.addresses import addresses
from streams.ingest.mapping.values import NONE, ConvertColumn, UnknownWordError, ValueColumn, one, text_of
from streams.settings.sources import Source

NATIVE: dict[str, Source] = {name: Source(path=name) for name in FIELDS}

NOBODY = "\0nobody"
"""Replaces an actor that is null, which means nobody. An actor that is missing is None, and the event is refused."""


_PATHS = [parse_path(name) for name in FIELDS]
_ACTOR = parse_path("actor")


class NativeShape:
    """Reads the fields of native events, with values of any type. See RowShape."""

    type: type[msgspec.Struct] = msgspec.defstruct(
        "Shape", [(name, Any, msgspec.UNSET if name == "actor" else None) for name in FIELDS], frozen=True, gc=False
    )

    def columns(self, documents: Sequence[Any]) -> dict[Path, list[Any]]:
        """See RowShape."""
        columns = dict(zip(_PATHS, map(list, zip(*map(msgspec.structs.astuple, documents), strict=True)), strict=True))
        actors = columns[_ACTOR]
        if None in actors or msgspec.UNSET in actors:
            columns[_ACTOR] = [
                None if value is msgspec.UNSET else NOBODY if value is None else value for value in actors
            ]
        return columns

    def column(self, documents: Sequence[Any], path: Path, text: bytes | None) -> list[Any]:
        """See RowShape."""
        return self.columns(documents)[path]


def _expect(kind: type, name: str, check: Callable[[Any], None] | None = None) -> Callable[[Any], Any]:
    def same(value: Any) -> Any:
        if kind is int and type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not kind:
            raise TypeError(f"Expected `{name}`, got `{kind_of(value)}`")
        if check is not None:
            check(value)
        return value

    return same


def _in_time(value: int) -> None:
    if not 0 <= value <= MAX_TS_MS:
        raise ValueError(f"{value} ms is no time between 1970 and 9999{unit_hint(value, 'ms')}")


def _in_span(value: int) -> None:
    if not 0 <= value <= MAX_TS_MS:
        raise ValueError(f"{value} ms is no duration")


def _not_empty(value: str) -> None:
    if not value:
        raise ValueError("an id must not be empty")


def _metric(value: Any) -> Any:
    if not isinstance(value, str) or value not in METRICS:
        raise UnknownWordError(f"Invalid enum value {short(str(value))}")
    return value


def _some_text(value: Any) -> Any:
    text = text_of(value)
    _not_empty(text)
    return text


def _column(convert: Callable[[Any], Any], why: str, kind: type) -> ConvertColumn:
    """Make a function that keeps values of a type and converts all others and empty text."""
    kinds = frozenset((kind, NONE))

    def column(values: ValueColumn) -> ValueColumn:
        if set(map(type, values)) <= kinds and "" not in values:
            return values
        return [
            value if type(value) in kinds and value != "" else one(convert, value, why, Why.WRONG_TYPE)
            for value in values
        ]

    return column


def _whole_numbers(check: Callable[[int], None], why: str) -> ConvertColumn:
    """Make a function that keeps whole numbers from 0 to MAX_TS_MS and converts all others."""
    convert = _expect(int, "int", check)

    def column(values: ValueColumn) -> ValueColumn:
        return [
            value
            if value is None or (type(value) is int and 0 <= value <= MAX_TS_MS)
            else one(convert, value, why, Why.WRONG_TYPE)
            for value in values
        ]

    return column


_ID = _column(_expect(str, "str", _not_empty), Why.BAD_ID, str)
_OTHER_ID = _column(_some_text, Why.BAD_ID, str)
_TEXT = _column(_expect(str, "str"), Why.WRONG_TYPE, str)
_SPAN = _whole_numbers(_in_span, BAD_VALUE)
_TIME = _whole_numbers(_in_time, Why.BAD_TIME)
_FLAG = _column(_expect(bool, "bool"), Why.WRONG_TYPE, bool)
_KNOWN = frozenset((*METRICS, None))


def _metrics(values: ValueColumn) -> ValueColumn:
    try:
        return values if _KNOWN.issuperset(values) else [one(_metric, value, Why.UNKNOWN_METRIC) for value in values]
    except TypeError:
        return [one(_metric, value, Why.UNKNOWN_METRIC) for value in values]


NATIVE_COLUMNS: dict[str, ConvertColumn] = {
    "ts": _TIME,
    "actor": _ID,
    "target": _ID,
    "metric": _metrics,
    "id": _OTHER_ID,
    "owner": _OTHER_ID,
    "ip": addresses(),
    "user_agent": _TEXT,
    "session": _OTHER_ID,
    "watch_ms": _SPAN,
    "duration_ms": _SPAN,
    "referrer": _TEXT,
    "country": _TEXT,
    "actor_created_at": _TIME,
    "undo": _FLAG,
    "history": _FLAG,
}
