"""Reads times: numbers since 1970 in four units, ISO 8601 as it is found in practice, and strptime formats."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from detectors.events.event import MAX_TS_MS

UNITS: dict[str, tuple[int, int]] = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
"""Unit → factor and divisor that convert a number of it to milliseconds."""

PLAUSIBLE_FROM_MS = 631_152_000_000
"""1990: no platform has older events. Seconds that are read as milliseconds are in January 1970."""
PLAUSIBLE_TO_MS = 4_102_444_800_000
"""2100."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_PROBE = datetime(2024, 5, 17, 13, 45, 6, tzinfo=UTC)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII).fullmatch
_WHOLE = re.compile(r"[+-]?\d{1,30}", re.ASCII).fullmatch


def check_layout(layout: str) -> None:
    """Raise ValueError if ``layout`` is no unit, not "iso", and no strptime format that gives a date."""
    if layout in UNITS or layout == "iso":
        return
    if "%" not in layout:
        raise ValueError(f"time = {layout!r}: must be s, ms, us, ns, iso or a strptime format such as %Y-%m-%d %H:%M")
    if re.search(r"(?<!%)(%%)*%Z", layout):
        raise ValueError(f"time = {layout!r}: %Z cannot read the name of a zone; use %z, or leave the zone out (UTC)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # from 3.13 on for a layout without a year
            back = datetime.strptime(_PROBE.strftime(layout), layout)  # noqa: DTZ007  # only the date is compared
    except (ValueError, re.error) as error:
        raise ValueError(f"time = {layout!r} is no strptime format: {error}") from None
    if back.date() != _PROBE.date():
        raise ValueError(f"time = {layout!r} does not give a whole date: year, month and day are needed")


def time_of(layout: str) -> Callable[[Any], int]:
    """Make a function that converts a value to epoch milliseconds. It raises ValueError or TypeError."""
    if layout in UNITS:
        return _unix(layout)
    return _iso if layout == "iso" else _formatted(layout)


def _unix(unit: str) -> Callable[[Any], int]:
    times, parts = UNITS[unit]

    def unix(value: Any) -> int:
        number = number_of(value, "a time")
        ms = number * times // parts if isinstance(number, int) else round(number * times / parts)
        if not 0 <= ms <= MAX_TS_MS:
            raise ValueError(f"{value!r} {unit} is no time between 1970 and 9999{unit_hint(ms, unit)}")
        return ms

    return unix


def number_of(value: Any, what: str) -> int | float:
    """Read a number, or a text that is a number. Raises TypeError or ValueError.

    >>> number_of("1767634490.5", "a time"), number_of(" 7 ", "a time")
    (1767634490.5, 7)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"Expected {what}, got `{kind_of(value)}`")
    if isinstance(value, str):
        text = value.strip()
        if _WHOLE(text):
            return int(text)
        if not _NUMBER(text):
            raise ValueError(f"{short(value)} is no number")
        value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number")
    number: int | float = value
    return number


def unit_hint(ms: int, unit: str | None, latest_ms: int = PLAUSIBLE_TO_MS) -> str:
    """End of a sentence about an implausible time: the unit that would fit, or nothing.

    >>> unit_hint(1_700_000_000, "ms")
    '; read as s it is 2023-11-14: time = "s" would fit'
    """
    if unit not in UNITS:
        return ""
    times, parts = UNITS[unit]
    for other, (factor, divisor) in UNITS.items():
        fitting = ms * parts * factor // (times * divisor)
        if other != unit and PLAUSIBLE_FROM_MS <= fitting <= latest_ms:
            day = (_EPOCH + timedelta(milliseconds=fitting)).date()
            return f'; read as {other} it is {day}: time = "{other}" would fit'
    return ""


def iso_times(texts: Sequence[Any]) -> list[int] | None:
    """Epoch milliseconds of a column of plain ISO 8601 with a zone; None if one value is something else."""
    try:
        moments = [(moment - _EPOCH) // _MILLISECOND for moment in map(datetime.fromisoformat, texts)]
    except (TypeError, ValueError):  # a missing zone raises TypeError
        return None
    return moments if min(moments) >= 0 else None


_DATE_AND_TIME = re.compile(
    r"(?P<date>\d{4}-?\d\d-?\d\d)[Tt _]?(?P<hour>\d\d):?(?P<minute>\d\d)"
    r"(:?(?P<second>\d\d)([.,](?P<fraction>\d{1,9}))?)?"
    r" ?([Zz]|UTC|GMT|(?P<zone>[+-]\d\d(:?\d\d)?)( [A-Z]{2,5})?)?(\[[^\]]*\])?",
    re.ASCII,
).fullmatch
"""Forms that ``datetime.fromisoformat`` does not read: small letters, zones by name, a name after the
offset (as Go writes it), second 60, hour 24."""


def _iso(value: Any) -> int:
    if not isinstance(value, str):
        raise TypeError(f"Expected a time as text, got `{kind_of(value)}`")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = _written(value.strip())
    return _epoch_ms(moment)


def _written(text: str) -> datetime:
    found = _DATE_AND_TIME(text)
    if found is None:
        raise ValueError(f"{short(text)} is no time of ISO 8601")
    zone = found["zone"] or "+00:00"
    fraction = (found["fraction"] or "0")[:6]
    whole = datetime.fromisoformat(f"{found['date']}T00:00:00{zone}" if "-" in found["date"] else _dashed(found, zone))
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or 0)
    full_day = hour == 24 and minute == second == 0  # ISO 8601: the end of the day
    if not (hour < 24 or full_day) or minute > 59 or second > 60:  # a leap second is number 60
        raise ValueError(f"{short(text)} is no time of ISO 8601")
    micro = int(fraction.ljust(6, "0"))
    return whole + timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micro)


def _dashed(found: re.Match[str], zone: str) -> str:
    date = found["date"]
    return f"{date[:4]}-{date[4:6]}-{date[6:]}T00:00:00{zone}"


def _formatted(layout: str) -> Callable[[Any], int]:
    def formatted(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise TypeError(f"Expected a time as text, got `{kind_of(value)}`")
        return _epoch_ms(datetime.strptime(str(value), layout))  # noqa: DTZ007  # UTC is added below

    return formatted


def _epoch_ms(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    ms = (moment - _EPOCH) // _MILLISECOND
    if ms < 0:
        raise ValueError(f"{moment.isoformat()} is before 1970")
    return ms


_KINDS = {"NoneType": "null", "dict": "object", "list": "array", "Shape": "object"}


def kind_of(value: Any) -> str:
    """Name of a value's type, as JSON calls it."""
    name = type(value).__name__
    return _KINDS.get(name, name)


def short(text: str) -> str:
    """A text in quotes for a message, shortened."""
    return repr(text if len(text) <= 60 else text[:57] + "…")  # longer than any time
