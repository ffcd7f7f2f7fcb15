"""Bytes around a document in a record: schema ids of registries, byte-order marks, compression."""

from __future__ import annotations

from enum import StrEnum

import msgspec

MAGIC = 0
CONFLUENT_BYTES = 5
"""A zero byte and the four bytes of a schema id, before the payload."""
GLUE_BYTES = 18
BOM = b"\xef\xbb\xbf"
QUOTE, ZLIB = b'"x'
"""First bytes of a text of JSON, and of zlib with its usual window."""

_DOCUMENT = frozenset(b'{[ \t\r\n"')
"""First characters that the text of a JSON document can have."""

_KNOWN: tuple[tuple[bytes, str], ...] = (
    (b"Obj\x01", "an Avro container file"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x82SNAPPY", "snappy"),
    (b"PAR1", "a Parquet file"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


class Framing(StrEnum):
    """Whether Confluent's framing (a zero byte and a schema id) precedes the document."""

    NONE = "none"
    """the value is the document"""
    OPTIONAL = "optional"
    """the framing is removed where it is there; the document can be read without the schema"""
    REQUIRED = "required"
    """a value without the framing is refused: the schema id is needed to read the document"""


class FramingError(ValueError):
    """The framing cannot be read; the message names it."""


def schema_and_payload(value: bytes) -> tuple[int, bytes]:
    """The schema id and the document of a value in Confluent's framing. Raises FramingError.

    >>> schema_and_payload(bytes([0, 0, 0, 1, 2]) + b"rest")
    (258, b'rest')
    """
    if len(value) < CONFLUENT_BYTES or value[0] != MAGIC:
        raise FramingError("the value does not begin with a zero byte and a schema id, as Confluent's framing does")
    return int.from_bytes(value[1:CONFLUENT_BYTES]), value[CONFLUENT_BYTES:]


def document_of(value: bytes) -> bytes:
    """The JSON document in a value that is not empty. Raises FramingError if the value is plainly something else.

    >>> document_of(bytes([0, 0, 0, 0, 7]) + b"{}")
    b'{}'
    """
    first = value[0]
    if first == MAGIC:
        return _after_schema_id(value)
    if first == 3 and len(value) > GLUE_BYTES and value[1] in (0, 5):  # version 3; none, or zlib
        raise FramingError(
            "the framing of AWS Glue's schema registry, which cannot be read yet; decode it with transform"
        )
    if first == QUOTE:
        return _in_a_text(value)
    if value.startswith(BOM):
        return value[len(BOM) :]
    if first == ZLIB and len(value) > 1 and int.from_bytes(value[:2]) % 31 == 0:  # the check of its header
        raise FramingError("the value is zlib, not a JSON document; decode it with transform")
    for magic, name in _KNOWN:
        if value.startswith(magic):
            raise FramingError(f"the value is {name}, not a JSON document; decode it with transform")
    return value


def _in_a_text(value: bytes) -> bytes:
    """The document in a text of JSON, which two serializers in a row write; the value itself if there is none."""
    try:
        text = msgspec.json.decode(value, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return value
    return text.encode() if text.startswith(("{", "[")) else value


def _after_schema_id(value: bytes) -> bytes:
    if len(value) < CONFLUENT_BYTES:
        raise FramingError("the value begins with a zero byte and is no framing that is known")
    schema, payload = schema_and_payload(value)
    if payload and payload[0] in _DOCUMENT:
        return _in_a_text(payload) if payload[0] == QUOTE else payload
    raise FramingError(
        f"Confluent's framing, schema id {schema}: the payload is no JSON (Avro or Protobuf), which cannot be"
        " read yet; produce JSON, or decode it with transform"
    )
