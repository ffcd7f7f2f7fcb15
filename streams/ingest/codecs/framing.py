"""What stands around a document in a record: schema ids of registries, byte-order marks, compression."""

from __future__ import annotations

MAGIC = 0
CONFLUENT_BYTES = 5
"""A zero byte and the four bytes of a schema id, before the payload."""
GLUE_BYTES = 18
BOM = b"\xef\xbb\xbf"

_DOCUMENT = frozenset(b'{[ \t\r\n"')
"""With what the text of a JSON document may begin."""

_KNOWN: tuple[tuple[bytes, str], ...] = (
    (b"Obj\x01", "an Avro container file"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x82SNAPPY", "snappy"),
    (b"PAR1", "a Parquet file"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


class FramingError(ValueError):
    """A framing that cannot be read; the message names it."""


def document_of(value: bytes) -> bytes:
    """The JSON document in a record's value. Raises FramingError if what is there is plainly something else.

    >>> document_of(bytes([0, 0, 0, 0, 7]) + b"{}")
    b'{}'
    """
    first = value[0]
    if first == MAGIC:
        if len(value) > CONFLUENT_BYTES and value[CONFLUENT_BYTES] in _DOCUMENT:
            return value[CONFLUENT_BYTES:]
        if len(value) >= CONFLUENT_BYTES:
            schema = int.from_bytes(value[1:CONFLUENT_BYTES])
            raise FramingError(
                f"Confluent's framing, schema id {schema}: the payload is no JSON (Avro or Protobuf), which cannot be"
                " read yet; produce JSON, or decode it with transform"
            )
        raise FramingError("the value begins with a zero byte and is no framing that is known")
    if first == 3 and len(value) > GLUE_BYTES and value[1] in (0, 5):  # version 3; none, or zlib
        raise FramingError(
            "the framing of AWS Glue's schema registry, which cannot be read yet; decode it with transform"
        )
    if value.startswith(BOM):
        return value[len(BOM) :]
    for magic, name in _KNOWN:
        if value.startswith(magic):
            raise FramingError(f"the value is {name}, not a JSON document; decode it with transform")
    return value
