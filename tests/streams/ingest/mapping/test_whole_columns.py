"""Columns as nearly all are: read as a whole, and not value by value, which takes several times as long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from detectors.events.event import MAX_TS_MS
from streams.ingest.mapping import addresses, native, values
from streams.ingest.mapping.values import ConvertColumn, Unreadable, ValueColumn


class SingleValueError(Exception):
    """A value was read by itself."""


def _single(*_: Any, **__: Any) -> NoReturn:
    raise SingleValueError


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing reads a value by itself."""
    for module in (values, native):
        monkeypatch.setattr(module, "one", _single)


COLUMNS: dict[str, tuple[Callable[[], ConvertColumn], ValueColumn, ValueColumn]] = {
    "whole seconds": (lambda: values.times("s"), [0, 1_700_000_000], [0, 1_700_000_000_000]),
    "parts of seconds": (lambda: values.times("s"), [0.0, 0.25, MAX_TS_MS / 1000], [0, 250, MAX_TS_MS]),
    "seconds as text": (lambda: values.times("s"), ["17.25", "3"], [17_250, 3_000]),
    "milliseconds": (lambda: values.times("ms"), [0, MAX_TS_MS], [0, MAX_TS_MS]),
    "milliseconds as text": (lambda: values.times("ms"), ["17.5", "3"], [18, 3]),
    "microseconds": (lambda: values.times("us"), [999, MAX_TS_MS * 1000], [0, MAX_TS_MS]),
    "parts of microseconds": (lambda: values.times("us"), [2_600.5, 400.0], [3, 0]),
    "nanoseconds as text": (lambda: values.times("ns"), ["1700000000999999", "0"], [1_700_000_000, 0]),
    "eighteen digits": (lambda: values.times("ns"), ["9" * 18], [999_999_999_999]),
    "iso times": (lambda: values.times("iso"), ["2023-11-14T22:13:20Z"] * 2, [1_700_000_000_000] * 2),
    "durations": (lambda: values.durations("s"), [0.0, 1.5], [0, 1_500]),
    "durations as text": (lambda: values.durations("ms"), ["1.4", "7"], [1, 7]),
    "texts": (values.texts, ["a", None], ["a", None]),
    "booleans": (values.booleans, [True, None, False], [True, None, False]),
    "words": (lambda: values.words({"a": 1}), ["a", "", None], [1, None, None]),
    "metrics": (values.metrics, ["view", None], ["view", None]),
    "addresses": (addresses.addresses, ["192.0.2.1", None], ["192.0.2.1", None]),
    "native times": (lambda: native.NATIVE_COLUMNS["ts"], [0, MAX_TS_MS, None], [0, MAX_TS_MS, None]),
    "native ids": (lambda: native.NATIVE_COLUMNS["actor"], ["a", None], ["a", None]),
    "native flags": (lambda: native.NATIVE_COLUMNS["undo"], [True, None], [True, None]),
    "native metrics": (lambda: native.NATIVE_COLUMNS["metric"], ["view", None], ["view", None]),
}


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_plain_values_is_read_as_a_whole(name: str) -> None:
    make, column, read = COLUMNS[name]
    assert make()(column) == read


@pytest.mark.parametrize(
    ("column", "read"),
    [
        ([1, 2.0], [1_000, 2_000]),
        ([1, None], [1_000, None]),
        (["1", ""], [1_000, None]),
        (["1", None], [1_000, None]),
        ([MAX_TS_MS // 1000, None], [MAX_TS_MS // 1000 * 1000, None]),
    ],
)
def test_a_column_of_several_kinds_is_read_value_by_value(column: ValueColumn, read: ValueColumn) -> None:
    assert values.times("s")(column) == read


@pytest.mark.parametrize("digits", [19, 5_000])
def test_one_number_that_is_too_long_is_refused_alone(digits: int) -> None:
    """Python converts no more than 4,300 digits, and raises an error of its own for more."""
    first, second = values.times("s")(["1", "9" * digits])
    assert first == 1_000
    assert isinstance(second, Unreadable)
