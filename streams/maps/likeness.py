"""Recognises the values of a field: times, addresses, user agents, ids, words, yes and no."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from streams.maps.fields import Field

MOST = 0.95
"""Share of a field's values that must pass a test: a few bad ones can become dead letters."""

FIRST_MS = 631_152_000_000
"""1990: no platform has older events."""
UNITS = {"s": 1000.0, "ms": 1.0, "us": 0.001, "ns": 0.000_001}
"""Unit → its length in milliseconds. No number is a time after 1990 in two of them."""

LAYOUTS = (
    "%d/%b/%Y:%H:%M:%S %z",  # web logs
    "%a %b %d %H:%M:%S %z %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S GMT",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y, %I:%M:%S %p",
    "%d/%m/%Y, %H:%M:%S",
    "%d.%m.%Y, %H:%M:%S",
    "%d.%m.%Y, %H:%M",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y",
    "%b %d, %Y %I:%M:%S %p",
    "%b %d, %Y, %I:%M:%S %p",
    "%b %d, %Y, %I:%M:%S %p UTC",
    "%b %d, %Y",
    "%d %b %Y %H:%M:%S",
    "%d %b %Y %H:%M",
    "%d %b %Y, %H:%M",
    "%d-%b-%Y %H:%M:%S",
    "%a %b %d %H:%M:%S %Y",
)
"""strptime formats that are tried for a time that is neither a number nor ISO 8601."""
DIGITS = ("%Y%m%d%H%M%S", "%Y%m%d")
"""strptime formats that are tried for a number that is no time in any unit."""

_ISO = re.compile(
    r"\d{4}-\d\d-\d\d([Tt _]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?( ?([Zz]|UTC|GMT|[+-]\d\d(:?\d\d)?( [A-Z]{2,5})?))?)?",
    re.ASCII,
)
_AGENT = re.compile(r"Mozilla/\d|Opera/\d|[A-Za-z][\w .%-]{1,40}/v?\d+[\w.]*(?: .*)?$")
_URL = re.compile(r"(?:https?|android-app)://[^\s/]+")
_COUNTRY = re.compile(r"[A-Z]{2,3}|[a-z]{2}")
_PORTED = re.compile(r"(?:\[([^\]]+)\]|([\d.]+))(?::\d+)?$")
_PATTERNS = {"iso": _ISO.fullmatch, "agent": _AGENT.match, "url": _URL.match, "country": _COUNTRY.fullmatch}

YES_NO = frozenset(("true", "false", "t", "f", "yes", "no", "y", "n", "0", "1", "on", "off"))


def mostly(values: list[Any], test: Callable[[Any], object], least: float = MOST) -> bool:
    """Whether at least a share of ``least`` of the values pass a test."""
    return bool(values) and sum(bool(test(value)) for value in values) >= least * len(values)


def time_layouts(field: Field, latest_ms: float, least: float = MOST) -> list[str]:
    """The layouts in which nearly all values are times between 1990 and ``latest_ms``, the most likely first."""
    if not field.texts or isinstance(field.given[0], bool):
        return []
    if len(field.numbers) >= least * len(field.given):
        units = [unit for unit, factor in UNITS.items() if mostly(field.numbers, _between(factor, latest_ms), least)]
        return units or [each for each in DIGITS if mostly(field.texts, partial(_fits, each, latest_ms), least)]
    texts = [value for value in field.given if isinstance(value, str)]
    if len(texts) < least * len(field.given):
        return []
    if mostly(texts, lambda text: _is_iso(text, latest_ms), least):
        return ["iso"]
    return [layout for layout in LAYOUTS if mostly(texts, partial(_fits, layout, latest_ms), least)]


def is_day(field: Field, layout: str) -> bool:
    """Whether times in a layout have no time of day."""
    if layout == "iso":
        return all(len(text) == 10 for text in field.texts)  # YYYY-MM-DD
    return layout not in UNITS and "%H" not in layout and "%I" not in layout


def clock_layout(field: Field) -> str | None:
    """The layout of values that are times of day; None if they are none."""
    for layout in ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p"):
        if mostly(field.given, partial(_is_clock, layout)):
            return layout
    return None


def _is_clock(layout: str, value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.strptime(value, layout))  # noqa: DTZ007  # no date
    except ValueError:
        return False


def _between(factor: float, latest_ms: float) -> Callable[[float], bool]:
    return lambda number: FIRST_MS <= number * factor <= latest_ms


def _is_iso(text: str, latest_ms: float) -> bool:
    if _ISO.fullmatch(text) is None:
        return False
    try:
        return FIRST_MS <= datetime.strptime(text[:10], "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000 <= latest_ms
    except ValueError:
        return False


def _fits(layout: str, latest_ms: float, text: str) -> bool:
    try:
        moment = datetime.strptime(text, layout)  # noqa: DTZ007  # UTC is added where there is no zone
    except ValueError:
        return False
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return FIRST_MS <= moment.timestamp() * 1000 <= latest_ms


def is_address(field: Field) -> bool:
    """Whether the values are IP addresses, with or without ports, or lists of them."""
    return mostly(field.given, _address)


def _address(value: Any) -> bool:
    texts = value if isinstance(value, list) else value.split(",") if isinstance(value, str) else []
    return bool(texts) and all(_plain_address(text.strip()) for text in texts)


def _plain_address(text: str) -> bool:
    ported = _PORTED.match(text)
    plain = (ported[1] or ported[2]) if ported else text
    try:
        ipaddress.ip_address(plain.partition("%")[0])
    except ValueError:
        return False
    return True


def has_hops(field: Field) -> bool:
    """Whether some of the values are lists of addresses."""
    return any(isinstance(value, list) or (isinstance(value, str) and "," in value) for value in field.given)


def resembles(field: Field, kind: str, least: float = MOST) -> bool:
    """Whether the values are of a kind: iso, agent, url or country."""
    return mostly([value for value in field.given if isinstance(value, str)] or [None], _test(kind), least)


def _test(kind: str) -> Callable[[Any], object]:
    pattern = _PATTERNS[kind]
    return lambda value: isinstance(value, str) and pattern(value)


def is_yes_no(field: Field) -> bool:
    """Whether the values are booleans or words for them, at most two."""
    return 0 < field.distinct <= 2 and all(text.lower() in YES_NO for text in field.texts)  # yes, no


def is_id(field: Field) -> bool:
    """Whether the values could be ids: texts of moderate length, or whole numbers."""
    return bool(field.texts) and mostly(field.given, _could_be_id)


def _could_be_id(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) or (
        isinstance(value, str) and len(value.encode(errors="replace")) <= 255 and not is_document(value)
    )  # bytes of an id


def is_document(value: Any) -> bool:
    """Whether a value is the text of a JSON object or array."""
    return isinstance(value, str) and value[:1] in ("{", "[") and value[-1:] in ("}", "]")


def is_few(field: Field) -> bool:
    """Whether there are only a few different values, each of them repeated."""
    return 0 < field.distinct <= 30 and (
        len(field.given) < 20 or field.distinct * 3 <= len(field.given)
    )  # words of a kind
