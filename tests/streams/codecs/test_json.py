"""What only the codec of JSON has: the reasons of what is no JSON, for every message of the pinned msgspec."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.codecs.json import PIECE, JsonCodec
from streams.deadletters import Why

OBJECT = msgspec.defstruct("OBJECT", [("a", Any, None)])

MALFORMED: list[tuple[bytes, Why, str]] = [
    (b'{"a":1', Why.NOT_JSON, "Input data was truncated"),
    (b'{"a":1}{}', Why.NOT_ONE_DOCUMENT, "trailing characters"),
    (b'{"a":1}\n{"a":2}', Why.NOT_ONE_DOCUMENT, "trailing characters"),
    (b' {"a":1} x', Why.NOT_ONE_DOCUMENT, "trailing characters"),
    (b'{"a":1}"trailing characters"', Why.NOT_ONE_DOCUMENT, "trailing characters"),
    (b'{"trailing characters" 1}', Why.NOT_JSON, "expected ':'"),
    (b"view of v1", Why.NOT_JSON, "invalid character"),
    (b'{"a":view}{}', Why.NOT_JSON, "invalid character"),
    (b'{"a":"\x01"}', Why.NOT_JSON, "invalid character"),
    (b'{"a":1,}', Why.NOT_JSON, "trailing comma in object"),
    (b'{"a":[1,]}', Why.NOT_JSON, "trailing comma in array"),
    (b'{"a":1 "b":2}', Why.NOT_JSON, "expected ',' or '}'"),
    (b'{"a":[1 2]}', Why.NOT_JSON, "expected ',' or ']'"),
    (b"{a:1}", Why.NOT_JSON, "object keys must be strings"),
    (b'{"a":01}', Why.NOT_JSON, "invalid number"),
    (b'{"a":NaN}{}', Why.NOT_JSON, "invalid character"),
    (b'{"a":"\\x"}', Why.NOT_JSON, "invalid escape character in string"),
    (b'{"a":"\\u12g4"}', Why.NOT_JSON, "invalid character in unicode escape"),
    (b'{"b":"\\q"}', Why.NOT_JSON, "invalid escaped character"),
    (b'{"a":"\\ud800"}{}', Why.NOT_JSON, "Input data was truncated"),
    (b'{"a":"\\ud800x"} {"b', Why.NOT_JSON, "unexpected end of escaped utf-16 surrogate pair"),
    (b'{"b":"\\ud800"}[1]01', Why.NOT_JSON, "unexpected end of hex escape"),
    (b'{"a":"\\udc00"}{', Why.NOT_JSON, "invalid utf-16 surrogate pair"),
    (b'{"b":%b}{' % (b"9" * 5000), Why.NOT_ONE_DOCUMENT, "trailing characters"),
    (b"2023-11-14 view of v1", Why.WRONG_TYPE, "Expected `object`, got `int`"),
    (b'{"a":"\xff"}{', Why.INVALID_UTF8, "byte 6 is not valid UTF-8"),
]


@pytest.mark.parametrize(("value", "reason", "message"), MALFORMED, ids=[repr(row[0])[:40] for row in MALFORMED])
def test_the_reason_is_found_without_the_words_of_the_message(value: bytes, reason: Why, message: str) -> None:
    (refusal,) = JsonCodec().reader(OBJECT).read([value]).refused
    assert refusal.reason is reason
    assert message in refusal.message


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_the_numbers_that_only_python_writes_are_read(text: str) -> None:
    found = JsonCodec().reader(Any).read([f'{{"a":{text}}}'.encode()])
    assert repr(found.rows) == repr([{"a": float(text)}])


def test_the_text_has_all_keys_only_where_documents_are_decoded_together() -> None:
    reader = JsonCodec().reader(OBJECT)
    good = [b'{"a":%d}' % n for n in range(3)]
    assert reader.read(good).text == b"\n".join(good)
    assert reader.read([*good, b"{"]).text is None


def test_one_bad_value_costs_its_piece_alone() -> None:
    values: list[bytes | None] = [b'{"a":%d}' % n for n in range(5 * PIECE)]
    values[PIECE + 1] = b"{"
    values[3 * PIECE] = None
    found = JsonCodec().reader(OBJECT).read(values)
    left = [n for n in range(5 * PIECE) if n not in (PIECE + 1, 3 * PIECE)]
    assert found.places == left
    assert [row.a for row in found.rows] == left
    assert ([refusal.index for refusal in found.refused], found.tombstones) == ([PIECE + 1], 1)
