"""Values with their unit, as a person reads them. The units are Grafana's."""

from __future__ import annotations

import math

SUFFIXES = {"evt/s": " events/s", "reqps": " records/s", "ops": " /s", "short": ""}
"""Unit → what stands behind a plain number."""

AXIS = {
    "s": "seconds",
    "percentunit": "percent",
    "bytes": "bytes",
    "evt/s": "events per second",
    "reqps": "records per second",
    "ops": "per second",
    "short": "number",
}
"""Unit → its name at the axis."""

MINUTE, HOUR, DAY = 60, 3600, 86_400


def shown(value: float, unit: str) -> str:
    """A value with its unit.

    >>> shown(0.0123, "s"), shown(90, "s"), shown(7200, "s"), shown(0.125, "percentunit")
    ('12 ms', '1.5 min', '2 h', '12.5 %')
    >>> shown(3 << 20, "bytes"), shown(12_345, "evt/s"), shown(3, "short"), shown(0.02, "ops")
    ('3 MiB', '12.3 k events/s', '3', '0.02 /s')
    """
    if not math.isfinite(value):
        return "none"
    if unit == "s":
        return _seconds(value)
    if unit == "percentunit":
        return f"{_short(100 * value)} %"
    if unit == "bytes":
        return _bytes(value)
    return _thousands(value) + SUFFIXES.get(unit, f" {unit}")


def _seconds(value: float) -> str:
    for least, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s")):
        if abs(value) >= least:
            return f"{_short(value / least)} {name}"
    return f"{value * 1000:.0f} ms" if value else "0 s"


def _bytes(value: float) -> str:
    for power, name in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if abs(value) >= 1 << power:
            return f"{_short(value / (1 << power))} {name}"
    return f"{value:.0f} B"


def _thousands(value: float) -> str:
    for least, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= least:
            return f"{_short(value / least)} {name}"
    return _short(value)


def _short(value: float) -> str:
    """Three digits, without trailing zeros."""
    digits = 2 if abs(value) < 1 else 1 if abs(value) < 100 else 0  # so that three digits are left
    text = f"{value:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
