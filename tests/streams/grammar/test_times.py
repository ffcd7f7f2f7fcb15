"""Times are read as they are written, in all units and spellings, or refused with a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detectors.events.event import MAX_TS_MS
from streams.grammar.times import UNITS, check_layout, iso_times, time_of, unit_hint
from streams.ingest.mapping.values import Unreadable, durations, times

NOON = 1_714_564_800_000


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2024-05-01T12:00:00Z", NOON),
        ("2024-05-01t12:00:00z", NOON),
        ("2024-05-01 12:00:00 UTC", NOON),
        ("2024-05-01 12:00:00 GMT", NOON),
        ("2024-05-01T12:00:00", NOON),
        ("2024-05-01T12:00Z", NOON),
        ("20240501T120000Z", NOON),
        ("2024-05-01T14:00:00+02:00", NOON),
        ("2024-05-01T14:00:00+0200", NOON),
        ("2024-05-01T14:00:00+02", NOON),
        ("2024-05-01 14:00:00 +02:00", NOON),
        ("2024-05-01T14:00:00+02:00[Europe/Paris]", NOON),
        ("2024-05-01 12:00:00 +0000 UTC", NOON),
        ("2024-05-01 14:00:00.123456789 +0200 CEST", NOON + 123),
        ("2024-05-01T12:00:00.1Z", NOON + 100),
        ("2024-05-01T12:00:00.123456789Z", NOON + 123),
        ("2024-05-01T12:00:00,25z", NOON + 250),
        ("2024-05-01T12:00:00.5013082 UTC", NOON + 501),
        ("2024-05-01T11:59:60Z", NOON),
        ("2024-04-30T24:00:00Z", NOON - 43_200_000),
        ("2024-05-01", NOON - 43_200_000),
        (" 2024-05-01T12:00:00Z ", NOON),
    ],
)
def test_iso_8601_is_read_as_it_is_found(text: str, ms: int) -> None:
    assert time_of("iso")(text) == ms


@pytest.mark.parametrize(
    "value",
    ["yesterday", "", "2024-13-01T00:00:00Z", "2024-05-01T25:00:00z", "2024-05-01T12:61:00z", "1960-01-01T00:00:00Z",
     "2024-05-01T12:00:61Z", "2024-05-01T24:00:01Z", 5, True, None, ["2024"], "2024-05-01T12:00:00 CEST"],
)  # fmt: skip
def test_what_is_no_time_of_iso_8601_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        time_of("iso")(value)


@pytest.mark.parametrize(
    "layout", ["", "seconds", "yyyy-MM-dd", "%H:%M", "%d/%m", "%Y-%m-%d %Z", "%Q", "%%Y", "S", "ISO"]
)
def test_a_layout_that_gives_no_date_is_refused(layout: str) -> None:
    with pytest.raises(ValueError, match="time = "):
        check_layout(layout)


@pytest.mark.parametrize("layout", ["s", "ms", "us", "ns", "iso", "%Y-%m-%d", "%d/%b/%Y:%H:%M:%S %z", "%Y%m%d%H%M%S"])
def test_a_layout_that_gives_one_is_taken(layout: str) -> None:
    check_layout(layout)


@given(st.integers(0, MAX_TS_MS), st.sampled_from(sorted(UNITS)))
def test_a_whole_number_of_any_unit_is_exact(ms: int, unit: str) -> None:
    multiply, divide = UNITS[unit]
    if multiply > 1:
        ms -= ms % multiply
    number = ms * divide // multiply
    assert time_of(unit)(number) == time_of(unit)(str(number)) == ms


numbers = (
    st.integers(-(10**21), 10**21)
    | st.floats()
    | st.sampled_from(["1767634490", "1767634490.5", " 7 ", "1e9", "x", "1_0", "٣", "nan"])
)


@example([1.797693134862316e305], "s")
@given(st.lists(numbers | st.none(), min_size=1, max_size=5), st.sampled_from(sorted(UNITS)))
def test_a_column_of_numbers_is_read_as_each_alone(column: list[Any], unit: str) -> None:
    for convert in (times(unit), durations("s" if unit == "s" else "ms")):
        together = convert(list(column))
        alone = [convert([value])[0] for value in column]
        assert [_kind(value) for value in together] == [_kind(value) for value in alone]


def _kind(value: Any) -> Any:
    return value.why if isinstance(value, Unreadable) else value


@given(
    st.lists(
        st.datetimes(datetime(1970, 1, 2), datetime(9999, 1, 1)),  # noqa: DTZ001  # a zone is added below
        min_size=1,
        max_size=4,
    ),
    st.integers(-840, 840),
)
def test_a_column_of_iso_times_is_read_as_each_alone(moments: list[datetime], minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    aware = [moment.replace(tzinfo=zone) for moment in moments]
    texts = [moment.isoformat() for moment in aware]
    expected = [int((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)) for moment in aware]
    if min(expected) < 0:
        return
    assert iso_times(texts) == [time_of("iso")(text) for text in texts] == expected
    assert times("iso")(texts) == expected


@pytest.mark.parametrize(
    ("unit", "right"), [("ms", "s"), ("ms", "us"), ("ms", "ns"), ("s", "ms"), ("us", "s"), ("ns", "ms")]
)
def test_a_wrong_unit_is_found(unit: str, right: str) -> None:
    multiply, divide = UNITS[right]
    written = NOON * divide // multiply
    wrong_multiply, wrong_divide = UNITS[unit]
    assert f'time = "{right}" would fit' in unit_hint(written * wrong_multiply // wrong_divide, unit)
