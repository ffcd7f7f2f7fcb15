"""Somebody else's document into the native event: paths, constants, times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from detectors.events import MAX_TS_MS, METRICS, REQUIRED, Event
from streams.deadletters import Why
from streams.settings import FieldMap, FieldSource

TIMES = ("ts", "actor_created_at")
NUMBERS = ("watch_ms", "duration_ms")
TRUE_WORDS = ("true", "1", "yes")


class MapError(ValueError):
    """A document that the map cannot turn into an event; ``reason`` is from the closed set."""

    def __init__(self, reason: Why, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Mapper:
    """A compiled field map: JSON bytes or a dict to an Event."""

    def __init__(self, fields: FieldMap, metric: str | None = None) -> None:
        constants: dict[str, Any] = {} if metric is None else {"metric": metric}
        self._constants = constants
        self._getters: list[tuple[str, list[str], Callable[[Any], Any], bool]] = []
        for name, source in fields.items():
            if source.value is not None:
                constants[name] = _converter(name, source)(source.value)
            elif source.path is not None:
                self._getters.append((name, source.path.split("."), _converter(name, source), name in REQUIRED))
        self._decoder = msgspec.json.Decoder()

    def decode(self, value: bytes) -> Event:
        """Map a JSON document. Raises MapError, or msgspec's errors if it is no JSON object."""
        document = self._decoder.decode(value)
        if not isinstance(document, dict):
            raise MapError(Why.WRONG_TYPE, f"Expected `object`, got `{type(document).__name__}`")
        return self.event(document)

    def event(self, document: dict[str, Any]) -> Event:
        """Map a document. Raises MapError or msgspec.ValidationError."""
        native = dict(self._constants)
        for name, path, convert, required in self._getters:
            value: Any = document
            for part in path:
                value = value.get(part) if isinstance(value, dict) else None
            if value is None or value == "":
                if required:
                    raise MapError(Why.MISSING_FIELD, f"no value for `{name}` - at `$.{'.'.join(path)}`")
                continue
            try:
                native[name] = convert(value)
            except (ValueError, TypeError, OverflowError) as error:
                reason = Why.BAD_TIME if name in TIMES else Why.WRONG_TYPE
                raise MapError(reason, f"{error} - at `$.{'.'.join(path)}`") from None
        metric = native.get("metric")
        if metric is not None and metric not in METRICS:
            raise MapError(Why.UNKNOWN_METRIC, f"Invalid enum value {metric!r} - at `$.metric`")
        return msgspec.convert(native, Event)


def _converter(name: str, source: FieldSource) -> Callable[[Any], Any]:
    if name in TIMES:
        return _time(source.time or "ms")
    if name in NUMBERS:
        return _number
    if name == "undo":
        return _truth
    return _text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"Expected `str` or `int`, got `{type(value).__name__}`")
    return str(value)


def _number(value: Any) -> int:
    return round(float(value))


def _truth(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).lower() in TRUE_WORDS


def _time(layout: str) -> Callable[[Any], int]:
    if layout in ("s", "ms"):
        factor = 1000 if layout == "s" else 1

        def unix(value: Any) -> int:
            if isinstance(value, bool):
                raise TypeError("Expected a time, got `bool`")
            ms = round(float(value) * factor)
            if not 0 <= ms <= MAX_TS_MS:
                raise ValueError(f"{value!r} is no time between 1970 and 9999")
            return ms

        return unix
    if layout == "iso":
        return lambda value: _epoch_ms(datetime.fromisoformat(value))
    return lambda value: _epoch_ms(datetime.strptime(value, layout))  # noqa: DTZ007  # UTC is added below


def _epoch_ms(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    ms = round(moment.timestamp() * 1000)
    if ms < 0:
        raise ValueError(f"{moment.isoformat()} is before 1970")
    return ms
