"""Native events read leniently: a bad optional field costs that field, not the event.

Good native events are decoded into ``Event`` in one go. What is not good as a whole is read again by this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from detectors.events import FIELDS, MAX_TS_MS, METRICS
from streams.codecs.addresses import addresses
from streams.codecs.paths import Path
from streams.codecs.times import kind_of, short, unit_hint
from streams.codecs.values import BAD_VALUE, Column, ConvertColumn, UnknownWordError, one, text_of
from streams.deadletters import Why
from streams.inputs import Source

NATIVE: dict[str, Source] = {name: Source(path=name) for name in FIELDS}

NOBODY = "\0nobody"
"""Stands for an actor who is given as nobody: null, where a missing one is refused."""


class NativeShape:
    """The native event with whatever stands in its fields. Answers as ``paths.Shape`` does."""

    type: type[msgspec.Struct] = msgspec.defstruct(
        "Shape", [(name, Any, msgspec.UNSET if name == "actor" else None) for name in FIELDS], frozen=True, gc=False
    )

    def splits_only(self, text: bytes) -> bool:
        """See Shape: the names of native fields have no dots."""
        return True

    def column(self, documents: Sequence[Any], path: Path, *, split: bool) -> list[Any]:
        """See Shape."""
        name = path.keys[0]
        column = [getattr(document, name) for document in documents]
        if name == "actor":
            return [None if value is msgspec.UNSET else NOBODY if value is None else value for value in column]
        return column


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


def _column(convert: Callable[[Any], Any], why: str) -> ConvertColumn:
    def column(values: Column) -> Column:
        return [one(convert, value, why, Why.WRONG_TYPE) for value in values]

    return column


_ID = _column(_expect(str, "str", _not_empty), Why.BAD_ID)
_OTHER_ID = _column(_some_text, Why.BAD_ID)
_TEXT = _column(_expect(str, "str"), Why.WRONG_TYPE)
_SPAN = _column(_expect(int, "int", _in_span), BAD_VALUE)
_TIME = _column(_expect(int, "int", _in_time), Why.BAD_TIME)
_FLAG = _column(_expect(bool, "bool"), Why.WRONG_TYPE)

NATIVE_COLUMNS: dict[str, ConvertColumn] = {
    "ts": _TIME,
    "actor": _ID,
    "target": _ID,
    "metric": _column(_metric, Why.UNKNOWN_METRIC),
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
