"""Every bad record is named with its reason and its place, and every good one beside it survives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.events import METRIC_INDEX, Event
from streams.codec import MAX_RECORD_BYTES, Codec, Refusal
from streams.deadletters import Why
from streams.settings import Input
from tests.streams.pipeline import events_of

LATEST = 2_000_000_000_000
FLOOR = 1_000_000_000_000
GOOD = b'{"ts":1700000000000,"actor":"a1","target":"v1"}'


def _with(fields: bytes, base: bytes = GOOD) -> bytes:
    return base[:-1] + b"," + fields + b"}"


BAD: list[tuple[str, bytes | None, Why, str]] = [
    ("no value", None, Why.EMPTY, "no value"),
    ("empty", b"", Why.EMPTY, "no value"),
    ("blank", b" \t", Why.EMPTY, "no value"),
    ("large", _with(b'"x":"' + b"y" * MAX_RECORD_BYTES + b'"'), Why.TOO_LARGE, "65,536 are allowed"),
    ("not utf-8", _with(b'"country":"\xff"'), Why.INVALID_UTF8, "byte 58 is not valid UTF-8"),
    ("not json", b"view of v1", Why.NOT_JSON, "malformed"),
    ("cut off", GOOD[:-5], Why.NOT_JSON, "truncated"),
    ("nan", b'{"ts":NaN,"actor":"a1","target":"v1"}', Why.NOT_JSON, "malformed"),
    ("infinity", b'{"ts":Infinity,"actor":"a1","target":"v1"}', Why.NOT_JSON, "malformed"),
    ("lone surrogate", _with(b'"country":"\\udc00"'), Why.NOT_JSON, "surrogate"),
    ("byte order mark", b"\xef\xbb\xbf" + GOOD, Why.NOT_JSON, "malformed"),
    ("two documents", GOOD + GOOD, Why.NOT_ONE_DOCUMENT, "trailing"),
    ("two lines", GOOD + b"\n" + GOOD, Why.NOT_ONE_DOCUMENT, "trailing"),
    ("deep", _with(b'"x":' + b"[" * 30_000 + b"]" * 30_000), Why.TOO_DEEP, "nested"),
    ("array", b"[1]", Why.WRONG_TYPE, "Expected `object`, got `array`"),
    ("number", b"7", Why.WRONG_TYPE, "Expected `object`, got `int`"),
    ("null", b"null", Why.WRONG_TYPE, "Expected `object`, got `null`"),
    ("text for a time", GOOD.replace(b"1700000000000", b'"today"'), Why.WRONG_TYPE, "`$.ts`"),
    ("a fraction of a time", GOOD.replace(b"1700000000000", b"1.5"), Why.WRONG_TYPE, "`$.ts`"),
    ("number for an actor", GOOD.replace(b'"a1"', b"17"), Why.WRONG_TYPE, "`$.actor`"),
    ("text for an undo", _with(b'"undo":"yes"'), Why.WRONG_TYPE, "`$.undo`"),
    ("negative watch time", _with(b'"watch_ms":-1'), Why.WRONG_TYPE, "`$.watch_ms`"),
    ("no actor", b'{"ts":1700000000000,"target":"v1"}', Why.MISSING_FIELD, "`actor`"),
    ("no target", b'{"ts":1700000000000,"actor":"a1"}', Why.MISSING_FIELD, "`target`"),
    ("no time", b'{"actor":"a1","target":"v1"}', Why.MISSING_FIELD, "`ts`"),
    ("other metric", _with(b'"metric":"share"'), Why.UNKNOWN_METRIC, "`$.metric`"),
    ("empty target", GOOD.replace(b'"v1"', b'""'), Why.BAD_ID, "`$.target`"),
    ("long actor", GOOD.replace(b'"a1"', b'"' + b"a" * 256 + b'"'), Why.BAD_ID, "`$.actor`"),
    ("long in bytes", GOOD.replace(b'"v1"', '"{}"'.format("é" * 130).encode()), Why.BAD_ID, "260 bytes"),
    ("long id", _with(b'"id":"' + b"i" * 256 + b'"'), Why.BAD_ID, "`$.id`"),
    ("before 1970", GOOD.replace(b"1700000000000", b"-1"), Why.BAD_TIME, "`$.ts`"),
    ("microseconds", GOOD.replace(b"1700000000000", b"1700000000000000"), Why.BAD_TIME, "`$.ts`"),
    ("beyond 64 bits", GOOD.replace(b"1700000000000", b"9" * 30), Why.BAD_TIME, "`$.ts`"),
    ("future", GOOD.replace(b"1700000000000", b"2000000000001"), Why.FROM_FUTURE, "`$.ts`"),
    ("before the floor", GOOD.replace(b"1700000000000", b"999999999999"), Why.BEFORE_FLOOR, "`$.ts`"),
]
bad_ones = pytest.mark.parametrize(("value", "reason", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])


def _read(
    codec: Codec, values: Sequence[bytes | None], latest: list[int]
) -> tuple[list[tuple[int, int, Event]], list[Refusal]]:
    good, refused = codec.decode(values, np.array(latest, np.int64))
    return events_of(good), refused


def _decode(*values: bytes | None, metric: str | None = "view") -> tuple[list[tuple[int, int, Event]], list[Why]]:
    codec = Codec(Input(topic="views", metric=metric), FLOOR)  # type: ignore[arg-type]  # one of the three, or None
    good, refused = _read(codec, values, [LATEST] * len(values))
    assert sorted([index for index, _, _ in good] + [r.index for r in refused]) == list(range(len(values)))
    return good, [refusal.reason for refusal in refused]


@bad_ones
def test_a_bad_record_is_named_with_its_reason_and_its_place(value: bytes | None, reason: Why, words: str) -> None:
    good, refused = _read(Codec(Input(topic="views", metric="view"), FLOOR), [value], [LATEST])
    assert good == []
    assert [r.reason for r in refused] == [reason]
    assert words in refused[0].message


@bad_ones
def test_its_good_neighbours_survive(value: bytes | None, reason: Why, words: str) -> None:
    good, reasons = _decode(GOOD, value, GOOD)
    assert reasons == [reason], words
    assert [index for index, _, _ in good] == [0, 2]


def test_every_reason_is_tried() -> None:
    """But for the one that is not of an event: tests/streams/test_disk.py damages state."""
    assert {reason for _, _, reason, _ in BAD} == set(Why) - {Why.DAMAGED_STATE}


TRICKS: list[tuple[str, list[bytes | None]]] = [
    ("a blank record makes room for two documents in another", [b" ", GOOD + GOOD]),
    ("an empty one too", [b"", GOOD + b" " + GOOD]),
    ("one document over two records, and two in the second", [GOOD[:18] + b",", GOOD[19:] + GOOD]),
    ("the cut before a nested value", [_with(b'"x":')[:-1], b"{}}" + GOOD]),
    ("a carriage return between two documents", [b"\r", GOOD + b"\r" + GOOD]),
    ("a newline inside makes two of one", [GOOD + b"\n" + GOOD, b" "]),
    ("a vanished record", [None, GOOD + GOOD]),
]


@pytest.mark.parametrize("values", [trick[1] for trick in TRICKS], ids=[trick[0] for trick in TRICKS])
def test_records_that_are_bad_together_are_bad_each(values: list[bytes | None]) -> None:
    good, reasons = _decode(*values)
    assert good == []
    assert len(reasons) == len(values)


@pytest.mark.parametrize(
    "value",
    [
        GOOD.replace(b",", b",\n"),
        b"\n" + GOOD + b"\r\n",
        b"  " + GOOD,
        _with(b'"x":"}\\n{"'),
        _with(b'"unknown":{"a":[1,2,{"b":null}]}'),
        GOOD.replace(b'"v1"', '"vidéo ▶"'.encode()),
        GOOD.replace(b'"v1"', b'"' + b"v" * 255 + b'"'),
        _with(b'"id":null,"metric":null,"country":null'),
    ],
    ids=["pretty", "with an end of line", "indented", "braces", "unknown fields", "any script", "longest", "nulls"],
)
def test_what_is_good_json_is_a_good_event(value: bytes) -> None:
    good, reasons = _decode(GOOD, value, GOOD)
    assert reasons == []
    assert [index for index, _, _ in good] == [0, 1, 2]


def test_a_metric_in_the_record_wins_over_its_topics() -> None:
    good, _ = _decode(GOOD, _with(b'"metric":"like"'))
    assert [metric for _, metric, _ in good] == [METRIC_INDEX["view"], METRIC_INDEX["like"]]


def test_a_record_without_a_metric_on_a_topic_without_one_lacks_a_field() -> None:
    good, reasons = _decode(GOOD, _with(b'"metric":"like"'), metric=None)
    assert reasons == [Why.MISSING_FIELD]
    assert [index for index, _, _ in good] == [1]


def test_each_record_has_its_own_latest_time() -> None:
    codec = Codec(Input(topic="views", metric="view"))
    good, refused = _read(codec, [GOOD, GOOD], [1_699_999_999_999, 1_700_000_000_000])
    assert [index for index, _, _ in good] == [1]
    assert [r.reason for r in refused] == [Why.FROM_FUTURE]


ODD = [
    _with(b'"actor":"a2"'),
    _with(b'"watch_ms":3.0'),
    _with(b'"watch_ms":3.5'),
    _with(b'"duration_ms":1e3'),
    _with(b'"watch_ms":18446744073709551616'),
    _with(b'"\\u0069d":"\\u00e9\\ud83d\\ude00"'),
    _with(b'"id":"\\ud800"'),
    _with(b'"unknown":{"target":[1,{}]},"id":null,"undo":true'),
    GOOD.replace(b'"v1"', '"vidéo ▶"'.encode()),
    GOOD.replace(b'"v1"', '"{}"'.format("é" * 130).encode()),
    GOOD.replace(b"1700000000000", b"1700000000000.0"),
    GOOD.replace(b",", b",\n"),
]
"""Good or bad in ways that one decoder may see otherwise than another."""
records = st.sampled_from([GOOD, *ODD, *(b[1] for b in BAD)]) | st.binary(max_size=60)


@given(st.lists(records, max_size=12))
def test_a_batch_is_read_as_its_records_are_one_by_one(values: list[bytes | None]) -> None:
    good, reasons = _decode(*values)
    alone = [_decode(value) for value in values]
    assert [event for _, _, event in good] == [event for found, _ in alone for _, _, event in found]
    assert reasons == [reason for _, found in alone for reason in found]
