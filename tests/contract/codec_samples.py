"""Sample bytes of every format, for the contract that all codecs are held to."""

from __future__ import annotations

import re
import runpy
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from streams.codecs.codec import Codec
from streams.codecs.json import JsonCodec
from tests import avro

PAGE = Path(__file__).parent.parent.parent / "docs" / "adding-a-codec.md"


@dataclass(frozen=True, repr=False)
class Format:
    """A codec, and how documents become bytes of its format."""

    make: Callable[[], Codec]
    encode: Callable[[Any], bytes]
    key_twice: Callable[[str, Any, Any], bytes]
    """an object that has a key twice, with the first and the second value"""
    bad_text: bytes
    """an object whose key "a" has the text b"\\xff", which is not UTF-8"""
    deep: bytes
    """a list in a list in a list … of as many levels as fit into a record"""
    undecodable: Mapping[str, bytes]
    """name → bytes that are not of the format"""
    largest: int
    """the largest integer that the format has"""
    empty: bytes | None = None
    """a value without any byte of a document in it, if that is refused"""
    unreadable_framing: Mapping[str, bytes] = field(default_factory=dict)
    """name → bytes that stand in a framing that the codec does not read"""


def shown_codec() -> type[Any]:
    """The codec of the page that says how to add one."""
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "shown.py"
        path.write_text(block)
        codec: type[Any] = runpy.run_path(str(path))["MessagePackCodec"]
    return codec


_json, _msgpack = msgspec.json.encode, msgspec.msgpack.encode


def _json_twice(key: str, first: Any, second: Any) -> bytes:
    name = _json(key)
    return b"{%b:%b,%b:%b}" % (name, _json(first), name, _json(second))


def _msgpack_twice(key: str, first: Any, second: Any) -> bytes:
    name = _msgpack(key)
    return b"\x82" + name + _msgpack(first) + name + _msgpack(second)


def _avro_twice(key: str, first: Any, second: Any) -> bytes:
    return avro.encode(None)[:5] + avro.encode_map([(key.encode(), first), (key.encode(), second)])


_AVRO_ARRAY = avro.encode([None])[5:-2]
"""Type and count of an array with one element."""
_AVRO_HEAD = avro.encode(None)[:5]

FORMATS = {
    "json": Format(
        make=JsonCodec,
        encode=_json,
        key_twice=_json_twice,
        bad_text=b'{"a":"\xff"}',
        deep=b"[" * 30_000 + b"]" * 30_000,
        undecodable={"a text": b"view of v1", "cut off": b'{"a":1', "two documents": b"{}{}", "a bare word": b"nil"},
        largest=10**30,
        empty=b" \n",
        unreadable_framing={"Avro": b"\0\0\0\0\x07\x02a", "gzip": b"\x1f\x8b\x08", "Glue": b"\x03\x00" + bytes(20)},
    ),
    "avro": Format(
        make=avro.AvroCodec,
        encode=avro.encode,
        key_twice=_avro_twice,
        bad_text=_AVRO_HEAD + avro.encode_map([(b"a", "?")]).replace(b"?", b"\xff"),
        deep=_AVRO_HEAD + _AVRO_ARRAY * 30_000,
        undecodable={
            "cut off": avro.encode({"a": "text"})[:-3],
            "more behind it": avro.encode({}) + b"\0",
            "a type that the union lacks": _AVRO_HEAD + b"\x0e",
            "a number of 70 bits": _AVRO_HEAD + avro.encode_long(avro.LONG) + b"\xff" * 9 + b"\x7f",
            "more items than bytes": _AVRO_HEAD + avro.encode_long(avro.ARRAY) + avro.encode_long(1 << 40),
        },
        largest=(1 << 63) - 1,
        empty=b"",
        unreadable_framing={"none": avro.encode({})[5:], "another schema": b"\0\0\0\0\x09" + avro.encode({})[5:]},
    ),
    "msgpack": Format(
        make=shown_codec(),
        encode=_msgpack,
        key_twice=_msgpack_twice,
        bad_text=b"\x81\xa1a\xa1\xff",
        deep=b"\x91" * 30_000 + b"\xc0",
        undecodable={"no type": b"\xc1", "cut off": b"\x81\xa1a", "two documents": b"\x80\x80", "ext": b"\xd4\x05x"},
        largest=(1 << 64) - 1,
        empty=b"",
    ),
}
