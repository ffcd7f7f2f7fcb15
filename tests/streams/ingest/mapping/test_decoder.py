"""Every bad record is named with its reason and its place, and every good one beside it survives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.events.event import METRIC_INDEX, Event
from streams.codecs.codec import MAX_RECORD_BYTES, Refusal
from streams.deadletters import Why
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Records
from streams.settings.settings import Input
from tests.streams.pipeline import events_of

LATEST = 2_000_000_000_000
FLOOR = 1_000_000_000_000
GOOD = b'{"ts":1700000000000,"actor":"a1","target":"v1"}'


def _with(fields: bytes, base: bytes = GOOD) -> bytes:
    return base[:-1] + b"," + fields + b"}"


BAD: list[tuple[str, bytes | None, Why, str]] = [
    ("empty", b"", Why.EMPTY, "no value"),
    ("blank", b" \t", Why.EMPTY, "no value"),
    ("large", _with(b'"x":"' + b"y" * MAX_RECORD_BYTES + b'"'), Why.TOO_LARGE, "65,536 are allowed"),
    ("not utf-8", GOOD.replace(b'"a1"', b'"\xff"'), Why.INVALID_UTF8, "`$.actor`"),
    ("not utf-8 and not json", b"\xff", Why.INVALID_UTF8, "byte 0 is not valid UTF-8"),
    ("a surrogate in an id", GOOD.replace(b'"v1"', b'"\\udc00"'), Why.INVALID_UTF8, "`$.target`"),
    ("nan for a time", b'{"ts":NaN,"actor":"a1","target":"v1"}', Why.WRONG_TYPE, "`$.ts`"),
    ("infinity for a time", b'{"ts":Infinity,"actor":"a1","target":"v1"}', Why.WRONG_TYPE, "`$.ts`"),
    ("Avro behind a schema id", b"\x00\x00\x00\x00\x07\x02a", Why.UNKNOWN_FRAMING, "schema id 7"),
    ("a framing of Glue", b"\x03\x00" + bytes(16) + b"{}", Why.UNKNOWN_FRAMING, "Glue"),
    ("gzip", b"\x1f\x8b\x08", Why.UNKNOWN_FRAMING, "gzip"),
    ("UTF-16", "{}".encode("utf-16"), Why.UNKNOWN_FRAMING, "UTF-16"),
    ("not json", b"view of v1", Why.NOT_JSON, "malformed"),
    ("cut off", GOOD[:-5], Why.NOT_JSON, "truncated"),
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
    ("no actor", b'{"ts":1700000000000,"target":"v1"}', Why.MISSING_FIELD, "`actor`"),
    ("no target", b'{"ts":1700000000000,"actor":"a1"}', Why.MISSING_FIELD, "`target`"),
    ("no time", b'{"actor":"a1","target":"v1"}', Why.MISSING_FIELD, "`ts`"),
    ("other metric", _with(b'"metric":"share"'), Why.UNKNOWN_METRIC, "`$.metric`"),
    ("empty target", GOOD.replace(b'"v1"', b'""'), Why.BAD_ID, "`$.target`"),
    ("long actor", GOOD.replace(b'"a1"', b'"' + b"a" * 256 + b'"'), Why.BAD_ID, "`$.actor`"),
    ("long in bytes", GOOD.replace(b'"v1"', '"{}"'.format("é" * 128).encode()), Why.BAD_ID, "256 bytes"),
    ("before 1970", GOOD.replace(b"1700000000000", b"-1"), Why.BAD_TIME, "`$.ts`"),
    ("microseconds", GOOD.replace(b"1700000000000", b"1700000000000000"), Why.BAD_TIME, "`$.ts`"),
    ("beyond 64 bits", GOOD.replace(b"1700000000000", b"9" * 30), Why.BAD_TIME, "`$.ts`"),
    ("future", GOOD.replace(b"1700000000000", b"2000000000001"), Why.FROM_FUTURE, "`$.ts`"),
    ("before the floor", GOOD.replace(b"1700000000000", b"999999999999"), Why.BEFORE_FLOOR, "`$.ts`"),
]
bad_ones = pytest.mark.parametrize(("value", "reason", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])


def _read(
    decoder: EventDecoder, values: Sequence[bytes | None], latest: list[int]
) -> tuple[list[tuple[int, int, Event]], list[Refusal]]:
    decoded = decoder.decode(Records.values(values, 0), np.array(latest, np.int64))
    return events_of(decoded.good), decoded.refused


def _decode(*values: bytes | None, metric: str | None = "view") -> tuple[list[tuple[int, int, Event]], list[Why]]:
    decoder = EventDecoder(Input(topic="views", metric=metric), FLOOR)  # type: ignore[arg-type]  # one of the three, or None
    good, refused = _read(decoder, values, [LATEST] * len(values))
    places = sorted([index for index, _, _ in good] + [r.index for r in refused])
    assert places == [place for place, value in enumerate(values) if value is not None]
    return good, [refusal.reason for refusal in refused]


@bad_ones
def test_a_bad_record_is_named_with_its_reason_and_its_place(value: bytes | None, reason: Why, words: str) -> None:
    good, refused = _read(EventDecoder(Input(topic="views", metric="view"), FLOOR), [value], [LATEST])
    assert good == []
    assert [r.reason for r in refused] == [reason]
    assert words in refused[0].message


@bad_ones
def test_its_good_neighbours_survive(value: bytes | None, reason: Why, words: str) -> None:
    good, reasons = _decode(GOOD, value, GOOD)
    assert reasons == [reason], words
    assert [index for index, _, _ in good] == [0, 2]


TRIED_ELSEWHERE = {Why.UNKNOWN_WORD, Why.NO_MATCH, Why.TOO_MANY_EVENTS, Why.TRANSFORM_FAILED, Why.UNDECODABLE}
"""test_mapper.py and test_transform.py beside this file try these, and tests/contract/test_codecs.py the last."""


def test_every_reason_is_tried() -> None:
    """But for those that are not of a record: test_disk.py damages state, test_rows.py has bad rows."""
    assert {reason for _, _, reason, _ in BAD} == set(Why) - TRIED_ELSEWHERE - {
        Why.DAMAGED_STATE,
        Why.BAD_ROW,
        Why.UNCOUNTABLE,
    }


UNREAD: list[tuple[str, bytes, str, str, Any]] = [
    ("negative watch time", b'"watch_ms":-1', "watch_ms", "bad_value", None),
    ("text for a watch time", b'"watch_ms":"9"', "watch_ms", "wrong_type", None),
    ("no number for a watch time", b'"watch_ms":NaN', "watch_ms", "wrong_type", None),
    ("a watch time beyond 64 bits", b'"watch_ms":18446744073709551616', "watch_ms", "bad_value", None),
    ("half a millisecond", b'"duration_ms":3.5', "duration_ms", "wrong_type", None),
    ("a number for an agent", b'"user_agent":7', "user_agent", "wrong_type", None),
    ("an object for an owner", b'"owner":{}', "owner", "wrong_type", None),
    ("an empty owner", b'"owner":""', "owner", "bad_id", None),
    ("a long owner", b'"owner":"' + b"o" * 256 + b'"', "owner", "bad_id", None),
    ("a list for an id", b'"id":[1]', "id", "wrong_type", None),
    ("a time before all accounts", b'"actor_created_at":-1', "actor_created_at", "bad_time", None),
    ("a text for a time", b'"actor_created_at":"2020"', "actor_created_at", "wrong_type", None),
    ("no address", b'"ip":"somewhere"', "ip", "bad_address", None),
    ("a number for an address", b'"ip":7', "ip", "bad_address", None),
    ("no country", b'"country":"' + b"c" * 65 + b'"', "country", "too_long", None),
    ("a byte that is no character", b'"country":"N\xff"', "country", "invalid_utf8", "N\ufffd"),
    ("a surrogate", b'"referrer":"\\udc00"', "referrer", "invalid_utf8", "\ufffd"),
    ("a long referrer", b'"referrer":"' + b"r" * 2049 + b'"', "referrer", "too_long", "r" * 2048),
    ("a long agent", b'"user_agent":"' + b"r" * 2049 + b'"', "user_agent", "too_long", "r" * 2048),
    ("a long session", b'"session":"' + b"s" * 3000 + b'"', "session", "too_long", "s" * 255),
]


@pytest.mark.parametrize(("fields", "name", "why", "left"), [u[1:] for u in UNREAD], ids=[u[0] for u in UNREAD])
def test_a_bad_optional_field_costs_the_field_and_not_the_event(fields: bytes, name: str, why: str, left: Any) -> None:
    decoder = EventDecoder(Input(topic="views", metric="view"), FLOOR)
    decoded = decoder.decode(Records.values([GOOD, _with(fields), GOOD], 0), np.array([LATEST] * 3, np.int64))
    assert decoded.refused == []
    assert decoded.unread == {(name, why): 1}
    assert [getattr(event, name) for _, _, event in events_of(decoded.good)] == [None, left, None]


def test_a_tombstone_is_passed_over() -> None:
    decoder = EventDecoder(Input(topic="views", metric="view"), FLOOR)
    decoded = decoder.decode(Records.values([GOOD, None, GOOD], 0), np.array([LATEST] * 3, np.int64))
    assert [index for index, _, _ in events_of(decoded.good)] == [0, 2]
    assert (decoded.refused, decoded.skipped) == ([], {"tombstone": 1})


def test_an_actor_who_is_nobody_is_null() -> None:
    good, reasons = _decode(GOOD, GOOD.replace(b'"a1"', b"null"), GOOD.replace(b'"a1"', b'"0"'))
    assert reasons == []
    assert [event.actor for _, _, event in good] == ["a1", None, "0"]


def test_a_native_input_may_have_placeholders_of_its_own() -> None:
    decoder = EventDecoder(Input(topic="views", metric="view", placeholders=("0",)), FLOOR)
    good, _ = _read(decoder, [GOOD, GOOD.replace(b'"a1"', b'"0"')], [LATEST] * 2)
    assert [event.actor for _, _, event in good] == ["a1", None]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7:443", "203.0.113.7"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("203.0.113.7, 10.0.0.1", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:DB8::1", "2001:DB8::1"),
    ],
)
def test_an_address_is_read_as_it_is_written(text: str, address: str) -> None:
    good, _ = _decode(GOOD, _with(b'"ip":"' + text.encode() + b'"'))
    assert [event.ip for _, _, event in good] == [None, address]


def test_a_wrong_unit_is_named() -> None:
    _, refused = _read(
        EventDecoder(Input(topic="views", metric="view")), [GOOD.replace(b"1700000000000", b"1700000000")], [LATEST]
    )
    assert refused[0].reason == Why.BEFORE_FLOOR
    assert 'read as s it is 2023-11-14: time = "s" would fit' in refused[0].message


TRICKS: list[tuple[str, list[bytes | None]]] = [
    ("a blank record makes room for two documents in another", [b" ", GOOD + GOOD]),
    ("an empty one too", [b"", GOOD + b" " + GOOD]),
    ("one document over two records, and two in the second", [GOOD[:18] + b",", GOOD[19:] + GOOD]),
    ("the cut before a nested value", [_with(b'"x":')[:-1], b"{}}" + GOOD]),
    ("a carriage return between two documents", [b"\r", GOOD + b"\r" + GOOD]),
    ("a newline inside makes two of one", [GOOD + b"\n" + GOOD, b" "]),
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
        b"\xef\xbb\xbf" + GOOD,
        b"\x00\x00\x00\x00\x07" + GOOD,
        _with(b'"id":17'),
        _with(b'"id":"' + b"i" * 3000 + b'"'),
        b"  " + GOOD,
        _with(b'"x":"}\\n{"'),
        _with(b'"unknown":{"a":[1,2,{"b":null}]}'),
        GOOD.replace(b'"v1"', '"vidéo ▶"'.encode()),
        GOOD.replace(b'"v1"', b'"' + b"v" * 255 + b'"'),
        _with(b'"id":null,"metric":null,"country":null'),
    ],
    ids=[
        "pretty",
        "with an end of line",
        "byte order mark",
        "schema id",
        "number for an id",
        "long id",
        "indented",
        "braces",
        "unknown fields",
        "any script",
        "longest",
        "nulls",
    ],
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
    decoder = EventDecoder(Input(topic="views", metric="view"))
    good, refused = _read(decoder, [GOOD, GOOD], [1_699_999_999_999, 1_700_000_000_000])
    assert [index for index, _, _ in good] == [1]
    assert [r.reason for r in refused] == [Why.FROM_FUTURE]


ODD = [
    _with(b'"actor":"a2"'),
    *(_with(u[1]) for u in UNREAD),
    GOOD.replace(b'"a1"', b"null"),
    GOOD.replace(b'"a1"', b'"0"'),
    _with(b'"history":true'),
    _with(b'"ip":"203.0.113.7"'),
    _with(b'"ip":"203.0.113.7:80"'),
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
records = st.sampled_from([None, GOOD, *ODD, *(b[1] for b in BAD)]) | st.binary(max_size=60)


@given(st.lists(records, max_size=12))
def test_a_batch_is_read_as_its_records_are_one_by_one(values: list[bytes | None]) -> None:
    good, reasons = _decode(*values)
    alone = [_decode(value) for value in values]
    assert [event for _, _, event in good] == [event for found, _ in alone for _, _, event in found]
    assert reasons == [reason for _, found in alone for reason in found]


def test_one_bad_record_costs_its_neighbours_nothing_but_time() -> None:
    values: list[bytes | None] = [_with(b'"id":"e%d"' % n) for n in range(200)]
    values[77] = b"{"
    values[150] = _with(b'"watch_ms":-1')
    good, reasons = _decode(*values)
    assert reasons == [Why.NOT_JSON]
    assert [event.id for _, _, event in good] == [f"e{n}" for n in range(200) if n not in (77, 150)][:149] + [None] + [
        f"e{n}" for n in range(151, 200)
    ]


def test_where_all_records_are_refused_what_was_left_out_is_counted_once() -> None:
    long = '"{}"'.format("é" * 128).encode()
    value = GOOD.replace(b'"v1"', long)[:-1] + b',"ip":"somewhere"}'
    decoder = EventDecoder(Input(topic="views", metric="view"), FLOOR)
    decoded = decoder.decode(Records.values([value, value], 0), np.array([LATEST] * 2, np.int64))
    assert [refusal.reason for refusal in decoded.refused] == [Why.BAD_ID, Why.BAD_ID]
    assert decoded.unread == {("ip", "bad_address"): 2}
