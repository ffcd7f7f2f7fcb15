"""A codec of Avro for tests: the binary encoding of one fixed schema behind Confluent's framing.

The schema is a record of any shape::

    {"type": "record", "name": "Value", "fields": [{"name": "value", "type": [
        "null", "boolean", "long", "double", "string",
        {"type": "array", "items": "Value"}, {"type": "map", "values": "Value"}]}]}

It shows that a format with a schema fits the protocol.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from streams.codecs.codec import Documents, RefusedError, present, read_each
from streams.codecs.framing import Framing, FramingError, schema_and_payload
from streams.deadletters import Why

SCHEMA_ID = 7
NULL, BOOLEAN, LONG, DOUBLE, STRING, ARRAY, MAP = range(7)
"""Places in the union of the schema."""


class AvroCodec:
    """See Codec."""

    name = "avro"
    framing = Framing.REQUIRED

    def reader(self, kind: Any) -> AvroReader:
        """See Codec."""
        return AvroReader(kind)

    def key_document(self, key: bytes) -> Any:
        """See Codec."""
        try:
            return decode(key)
        except (RefusedError, RecursionError):
            return None


class AvroReader:
    """See Reader."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def read_all(self, values: Sequence[bytes | None]) -> Documents | None:
        """See Reader."""
        return None

    def read(self, values: Sequence[bytes | None]) -> Documents:
        """See Reader."""
        found = Documents()
        places, given = present(values, found)
        found.rows, found.places = read_each(given, places, self._row, found.refused)
        return found

    def _row(self, value: bytes) -> Any:
        return msgspec.convert(decode(value), self._kind)


def decode(value: bytes) -> Any:
    """The document of a framed value. Raises RefusedError."""
    if not value:
        raise RefusedError(Why.EMPTY, "the record has no value")
    try:
        schema, payload = schema_and_payload(value)
    except FramingError as error:
        raise RefusedError(Why.UNKNOWN_FRAMING, str(error)) from None
    if schema != SCHEMA_ID:
        raise RefusedError(Why.UNKNOWN_FRAMING, f"no schema has the id {schema}")
    cursor = _Cursor(payload)
    try:
        document = cursor.value()
    except UnicodeDecodeError as error:
        raise RefusedError(Why.INVALID_UTF8, str(error)) from None
    except (IndexError, struct.error):
        raise RefusedError(Why.UNDECODABLE, "not Avro: the value ends too early") from None
    if cursor.at != len(payload):
        raise RefusedError(Why.UNDECODABLE, f"not Avro: {len(payload) - cursor.at} bytes follow the value")
    return document


class _Cursor:
    """A place in Avro's binary encoding, which moves on as values are read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def value(self) -> Any:  # noqa: PLR0911  # one line for each type of the union
        kind = self._long()
        if kind == NULL:
            return None
        if kind == BOOLEAN:
            return self._bytes(1) != b"\0"
        if kind == LONG:
            return self._long()
        if kind == DOUBLE:
            return struct.unpack("<d", self._bytes(8))[0]
        if kind == STRING:
            return self._text()
        if kind == ARRAY:
            return [self.value() for _ in self._blocks()]
        if kind == MAP:
            return {self._text(): self.value() for _ in self._blocks()}
        raise RefusedError(Why.UNDECODABLE, f"not Avro of this schema: the union has no type {kind}")

    def _long(self) -> int:
        number = shift = 0
        while True:
            byte = self._data[self.at]
            self.at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        number = (number >> 1) ^ -(number & 1)
        if not -(1 << 63) <= number < 1 << 63:
            raise RefusedError(Why.UNDECODABLE, "not Avro: a number of more than 64 bits")
        return number

    def _bytes(self, size: int) -> bytes:
        if not 0 <= size <= len(self._data) - self.at:
            raise IndexError
        self.at += size
        return self._data[self.at - size : self.at]

    def _text(self) -> str:
        return self._bytes(self._long()).decode()

    def _blocks(self) -> Iterable[None]:
        """One step for each item of an array or a map, which comes in blocks."""
        while count := self._long():
            if count < 0:  # then the block's size in bytes follows
                count = -count
                self._long()
            if count > len(self._data):
                raise IndexError
            for _ in range(count):
                yield None


def encode(document: Any) -> bytes:
    """A document of plain values, framed."""
    return bytes([0]) + SCHEMA_ID.to_bytes(4) + encode_value(document)


def encode_value(value: Any) -> bytes:  # noqa: PLR0911  # one line for each type of the union
    """A value in Avro's binary encoding."""
    match value:
        case None:
            return encode_long(NULL)
        case bool():
            return encode_long(BOOLEAN) + bytes([value])
        case int():
            return encode_long(LONG) + encode_long(value)
        case float():
            return encode_long(DOUBLE) + struct.pack("<d", value)
        case str():
            return encode_long(STRING) + encode_text(value.encode())
        case list():
            items = b"".join(map(encode_value, value))
            return encode_long(ARRAY) + (encode_long(len(value)) + items if value else b"") + encode_long(0)
        case _:
            return encode_map([(key.encode(), each) for key, each in value.items()])


def encode_map(items: Sequence[tuple[bytes, Any]]) -> bytes:
    """A map of any keys, one of which may come twice."""
    pairs = b"".join(encode_text(key) + encode_value(value) for key, value in items)
    return encode_long(MAP) + (encode_long(len(items)) + pairs if items else b"") + encode_long(0)


def encode_text(text: bytes) -> bytes:
    """A text, which is bytes behind their number."""
    return encode_long(len(text)) + text


def encode_long(number: int) -> bytes:
    """A whole number, zigzag and in groups of seven bits."""
    left = (number << 1) ^ (number >> 63)
    encoded = bytearray()
    while left >= 0x80:
        encoded.append(left & 0x7F | 0x80)
        left >>= 7
    encoded.append(left)
    return bytes(encoded)
