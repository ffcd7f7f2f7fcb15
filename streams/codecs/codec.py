"""The protocol of codecs: the bytes of records into documents. One codec reads one format.

A document is what the value of a record contains, in plain values: dict with text keys, list, str, int, float, bool and
None. The map of an input turns documents into events (``streams/ingest/mapping``); it does not know the format.
``docs/adding-a-codec.md`` shows how to write a codec. ``tests/contract/test_codecs.py`` checks the contract below on
every codec.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from streams.codecs.framing import Framing
from streams.deadletters import Why

MAX_RECORD_BYTES = 64 * 1024
"""A record with a larger value is refused."""


class Codec(Protocol):
    """Decodes the records of one format.

    A codec has no state that decoding changes, apart from caches: the same bytes always give the same document.
    """

    name: str
    """value of ``format`` in the settings of an input"""
    framing: Framing
    """whether Confluent's zero byte and schema id precede the document. A codec that cannot read a record without
    a schema declares REQUIRED, and finds it by that id"""

    def reader(self, kind: Any) -> Reader:
        """Make a reader of documents of one type.

        ``kind`` is a type that msgspec converts to. It is a struct with the fields that an input's map reads, or
        ``list[Any]`` or ``Any`` where the whole document is needed. Every row must equal
        ``msgspec.convert(document, kind)``. A codec may decode into the type directly, and skip all other fields, which
        is what JSON does. A codec that cannot do that makes the document first and then calls ``msgspec.convert``.
        """
        ...

    def key_document(self, key: bytes) -> Any:
        """Decode a record's key in plain values; None if the key is no document. Never raises."""
        ...


class Reader(Protocol):
    """Decodes values into documents of one type."""

    def read(self, values: Sequence[bytes | None]) -> Documents:
        """Decode a stretch of values, at most a thousand.

        Every value becomes a document, a refusal, or a tombstone (a value that is None). A bad value never raises and
        never changes what becomes of its neighbours. These are refused: a value of more than MAX_RECORD_BYTES
        (TOO_LARGE), bytes that are not of the format (UNDECODABLE, or a more exact reason for JSON), a document that
        is not of the type (WRONG_TYPE), one that is nested too deeply to decode (TOO_DEEP), text that is not UTF-8
        (INVALID_UTF8, or decoded with surrogates and ``surrogates`` set), a framing that the codec does not read
        (UNKNOWN_FRAMING). An empty value is refused as EMPTY, unless the format has a document of zero bytes.

        If an object has a key twice, the last one counts. An integer keeps its exact value, however large it is, or the
        record is refused.
        """
        ...

    def read_all(self, values: Sequence[bytes | None]) -> Documents | None:
        """Decode values that are all documents of the type, faster than ``read``; None if one may not be.

        A codec without a faster way always returns None.
        """
        ...


@dataclass(slots=True)
class Refusal:
    """Why a record, or an element of it, does not become an event."""

    index: int
    """place of the record in its stretch"""
    reason: Why
    message: str
    """a sentence for the operator"""


@dataclass(slots=True)
class Documents:
    """What a stretch of values contains."""

    rows: list[Any] = field(default_factory=list)
    """instances of the reader's type"""
    places: list[int] | None = None
    """place of each row's value in the stretch, ascending; None if there is one row for each value"""
    refused: list[Refusal] = field(default_factory=list)
    tombstones: int = 0
    text: bytes | None = None
    """bytes that contain every key of these documents with a dot in its name, or a backslash if keys may be escaped.
    A format whose keys have no dots sets b"". None means that this is not known, and costs a search"""
    surrogates: bool = False
    """whether a text may contain surrogates in place of bytes that are not UTF-8; the map replaces them"""


class RefusedError(ValueError):
    """A value is no document: the reason and a sentence."""

    def __init__(self, reason: Why, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


def read_each(
    values: Sequence[bytes], places: Sequence[int], read: Callable[[bytes], Any], refused: list[Refusal]
) -> tuple[list[Any], list[int]]:
    """Read values one by one; give the rows and their places. What ``read`` raises is added to ``refused``.

    ``read`` raises RefusedError, RecursionError or msgspec.ValidationError.
    """
    rows: list[Any] = []
    read_places: list[int] = []
    for place, value in zip(places, values, strict=True):
        try:
            row = read(value)
        except RefusedError as error:
            refused.append(Refusal(place, error.reason, error.message))
        except RecursionError:
            refused.append(Refusal(place, Why.TOO_DEEP, "the document is nested too deeply"))
        except msgspec.ValidationError as error:
            # Only the outermost type can be wrong: the fields of a type take any value.
            refused.append(Refusal(place, Why.WRONG_TYPE, str(error)))
        else:
            rows.append(row)
            read_places.append(place)
    return rows, read_places


def present(values: Sequence[bytes | None], into: Documents) -> tuple[list[int], list[bytes]]:
    """The places and the values that may be documents. Tombstones are counted, too large values are refused."""
    places: list[int] = []
    given: list[bytes] = []
    for place, value in enumerate(values):
        if value is None:
            into.tombstones += 1
        elif len(value) > MAX_RECORD_BYTES:
            message = f"the record has {len(value):,} bytes; {MAX_RECORD_BYTES:,} are allowed"
            into.refused.append(Refusal(place, Why.TOO_LARGE, message))
        else:
            places.append(place)
            given.append(value)
    return places, given
