"""What stands around a document is taken off where it can be, and named where it cannot."""

from __future__ import annotations

import zlib

import pytest

from streams.codecs.framing import FramingError, document_of, schema_and_payload

JSON = b'{"ts":1}'
CONFLUENT = bytes([0, 0, 0, 1, 2])


@pytest.mark.parametrize(
    ("value", "document"),
    [
        (JSON, JSON),
        (CONFLUENT + JSON, JSON),
        (CONFLUENT + b"[1]", b"[1]"),
        (CONFLUENT + b"\r\n{}", b"\r\n{}"),
        (b"\xef\xbb\xbf" + JSON, JSON),
        (b"\x03" + JSON, b"\x03" + JSON),
        (b'"{\\"ts\\":1}"', JSON),
        (CONFLUENT + b'"[1]"', b"[1]"),
        (b'"ts"', b'"ts"'),
        (b'"{', b'"{'),
        (b'"{\xff"', b'"{\xff"'),
        (b"xy", b"xy"),
        (bytes([3, 0]) + bytes(16), bytes([3, 0]) + bytes(16)),
        (bytes([3, 1]) + bytes(17), bytes([3, 1]) + bytes(17)),
    ],
    ids=[
        "none",
        "Confluent",
        "a list",
        "blanks before it",
        "a mark",
        "a document in a text",
        "a list in a text",
        "a text",
        "a text without an end",
        "a text that is not UTF-8",
        "no zlib",
        "three",
        "too short for Glue",
        "no version of it",
    ],
)
def test_a_document_is_found_in_what_is_around_it(value: bytes, document: bytes) -> None:
    assert document_of(value) == document


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (CONFLUENT, "schema id 258: the payload is no JSON"),
        (CONFLUENT + b"\x02a", "schema id 258: the payload is no JSON"),
        (CONFLUENT[:4], "begins with a zero byte"),
        (bytes([3, 0]) + bytes(17), "AWS Glue"),
        (bytes([3, 5]) + bytes(17), "AWS Glue"),
        (b"Obj\x01", "an Avro container file"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"\x82SNAPPY", "snappy"),
        (b"PAR1", "a Parquet file"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (zlib.compress(JSON), "zlib"),
        ('{"ts":1}'.encode("utf-32"), "UTF-32"),
        (b"\xff\xfe{", "UTF-16"),
        (b"\xfe\xff{", "UTF-16"),
    ],
)
def test_what_cannot_be_read_is_named(value: bytes, message: str) -> None:
    with pytest.raises(FramingError, match=message):
        document_of(value)


def test_a_schema_id_has_all_of_its_four_bytes() -> None:
    assert schema_and_payload(bytes([0, 1, 2, 3, 4]) + JSON) == (0x01020304, JSON)
