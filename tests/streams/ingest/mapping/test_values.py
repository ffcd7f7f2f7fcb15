"""Values of documents, a column at a time: whole columns and single values are read alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.events.event import MAX_TS_MS
from streams.ingest.mapping.values import (
    ConvertColumn,
    Unreadable,
    ValueColumn,
    booleans,
    durations,
    metrics,
    text_of,
    texts,
    times,
    word_of,
    words,
)


def read(convert: ConvertColumn, *values: Any) -> ValueColumn:
    """A column, with the reason in the place of what cannot be read."""
    return [str(value.why) if type(value) is Unreadable else value for value in convert(list(values))]


NUMBERS = st.one_of(
    st.integers(-5, 10**13),
    st.floats(-5, 1e13),
    st.sampled_from([0, MAX_TS_MS, MAX_TS_MS + 1, 10**18, 10**19, float("nan"), float("inf"), 0.5, -0.4]),
)
COLUMNS = st.one_of(
    st.lists(NUMBERS, min_size=1, max_size=5),
    st.lists(NUMBERS.map(str), min_size=1, max_size=5),
    st.lists(st.sampled_from(["7", "7.5", "1.5.5", ".", "", "1e3", "²", "9" * 18, "9" * 19]), min_size=1, max_size=5),
)


@given(COLUMNS, st.sampled_from(["s", "ms", "us", "ns"]))
def test_times_of_a_column_are_those_of_its_values_one_by_one(values: list[Any], unit: str) -> None:
    convert = times(unit)
    alone = [convert([value, None])[0] for value in values]  # a column with a gap is read value by value
    assert read(convert, *values) == [str(v.why) if type(v) is Unreadable else v for v in alone]


@given(COLUMNS, st.sampled_from(["s", "ms"]))
def test_durations_of_a_column_are_those_of_its_values_one_by_one(values: list[Any], unit: str) -> None:
    convert = durations(unit)
    alone = [convert([value, None])[0] for value in values]
    assert read(convert, *values) == [str(v.why) if type(v) is Unreadable else v for v in alone]


@pytest.mark.parametrize(
    ("unit", "value", "ms"),
    [
        ("s", 1_700_000_000, 1_700_000_000_000),
        ("s", 1_700_000_000.25, 1_700_000_000_250),
        ("s", "1700000000.25", 1_700_000_000_250),
        ("ms", 1_700_000_000_000, 1_700_000_000_000),
        ("us", 1_700_000_000_000_999, 1_700_000_000_000),
        ("ns", "1700000000000999999", 1_700_000_000_000),
    ],
)
def test_times_have_a_unit(unit: str, value: Any, ms: int) -> None:
    assert read(times(unit), value) == [ms]
    assert read(times(unit), value, value) == [ms, ms]


def test_times_are_from_1970_to_9999() -> None:
    assert read(times("ms"), 0, MAX_TS_MS) == [0, MAX_TS_MS]
    assert read(times("ms"), -1) == ["bad_time"]
    assert read(times("ms"), MAX_TS_MS + 1) == ["bad_time"]
    assert read(times("s"), MAX_TS_MS // 1000, 0) == [MAX_TS_MS // 1000 * 1000, 0]
    assert read(times("s"), MAX_TS_MS // 1000 + 1, 0) == ["bad_time", 0]


def test_durations_are_from_nothing_on_and_rounded_to_milliseconds() -> None:
    assert read(durations("s"), 1.5, 0.0004, 0.0006) == [1500, 0, 1]
    assert read(durations("ms"), 1.5, None, -1, "x") == [2, None, "bad_value", "bad_value"]
    assert read(durations("ms"), -1, MAX_TS_MS + 1) == ["bad_value", "bad_value"]


def test_the_longest_duration_is_the_same_in_a_column_with_a_gap() -> None:
    assert read(durations("ms"), MAX_TS_MS, None) == [MAX_TS_MS, None]
    assert read(durations("ms"), MAX_TS_MS + 1, None) == ["bad_value", None]


@pytest.mark.parametrize("text", ["inf", "nan", "1_000", "0x1"])
def test_a_text_that_is_a_number_only_to_python_is_no_time_and_no_duration(text: str) -> None:
    for unit in ("s", "us"):
        assert read(times(unit), text, "3000") == ["bad_time", 3_000_000 if unit == "s" else 3]
    assert read(durations("s"), text, "3") == ["bad_value", 3_000]


def test_whole_numbers_are_texts_as_long_as_they_are_exact() -> None:
    assert read(texts(), "a", 7, 7.0, None, "") == ["a", "7", "7", None, None]
    assert read(texts(), True, 7.5, [1]) == ["wrong_type"] * 3
    assert text_of(float((1 << 53) - 1)) == str((1 << 53) - 1)
    with pytest.raises(TypeError):
        text_of(float(1 << 53))


def test_words_of_numbers_are_those_of_json() -> None:
    assert [word_of(value) for value in (True, False, 2.5, 2.0, 3, "x")] == ["true", "false", "2.5", "2", "3", "x"]


def test_yes_and_no_have_a_closed_set_of_words() -> None:
    assert read(booleans(), True, False, None, "", " YES ", "t", "off", 0, 1) == [
        *(True, False, None, None, True, True, False, False, True)
    ]
    assert read(booleans(), "perhaps", 2) == ["unknown_word", "unknown_word"]


def test_a_table_says_what_a_word_means() -> None:
    table = words({"VIEW": "view", "1": "like"})
    assert read(table, "VIEW", None, "") == ["view", None, None]
    assert read(table, 1, "VIEW") == ["like", "view"]
    assert read(table, "view", "VIEW") == ["unknown_word", "view"]
    assert read(table, ["VIEW"], "VIEW") == ["wrong_type", "view"]


def test_metrics_are_known_by_their_names() -> None:
    assert read(metrics(), "view", None, "like") == ["view", None, "like"]
    assert read(metrics(), "share", "view", "") == ["unknown_word", "view", None]
    assert read(metrics(), ["view"], "view") == ["unknown_word", "view"]
