"""The codec of JSON. The documents of a stretch are decoded together where that is safe.

Decoding many documents in one call is several times faster than one call for each. It is safe only if it gives exactly
one document for each value. Therefore every value must begin with a brace and end with one, and must contain no line
end: then no document goes on in the next value. A stretch that fails is cut into pieces, and a piece that fails is
decoded value by value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from streams.codecs.codec import MAX_RECORD_BYTES, Documents, Refusal, RefusedError, present, read_each
from streams.codecs.framing import Framing, FramingError, document_of
from streams.deadletters import Why

PIECE = 32
"""Values of a piece of a stretch that could not be decoded as a whole."""
_OPENING, _CLOSING, _NEWLINE = b"{}\n"

_decode_key = msgspec.json.Decoder().decode


class JsonCodec:
    """See Codec. It also reads JSON behind a schema id or a byte-order mark, and the NaN and Infinity of Python."""

    name = "json"
    framing = Framing.OPTIONAL

    def reader(self, kind: Any) -> JsonReader:
        """See Codec: fields that the type lacks are skipped, which costs a fraction of decoding them."""
        return JsonReader(kind)

    def key_document(self, key: bytes) -> Any:
        """See Codec."""
        try:
            return _decode_key(key)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None


class JsonReader:
    """See Reader."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind)

    def read_all(self, values: Sequence[bytes | None]) -> Documents | None:
        """See Reader."""
        text = joined(values)
        rows = None if text is None else self._lines(text, len(values))
        return None if rows is None else Documents(rows, text=text)

    def read(self, values: Sequence[bytes | None]) -> Documents:
        """See Reader."""
        found = Documents()
        text = joined(values)
        given: Sequence[bytes]
        if text is None:
            found.places, given = _unframed(values, found)
            text = joined(given)
        else:
            given = values  # type: ignore[assignment]  # none of them is None
        rows = None if text is None else self._lines(text, len(given))
        if rows is None:
            self._pieces(given, found)
        else:
            found.rows, found.text = rows, text
        return found

    def _lines(self, text: bytes, size: int) -> list[Any] | None:
        try:
            rows: list[Any] = self._decoder.decode_lines(text)
        except (ValueError, RecursionError):
            return None
        return rows if len(rows) == size else None

    def _pieces(self, values: Sequence[bytes], found: Documents) -> None:
        """Read piece by piece, so that a bad value costs its neighbours little."""

        def single(value: bytes) -> Any:
            return self._single(value, found)

        places: Sequence[int] = range(len(values)) if found.places is None else found.places
        found.places = []
        for begin in range(0, len(values), PIECE):
            piece, of_piece = values[begin : begin + PIECE], places[begin : begin + PIECE]
            text = joined(piece)
            rows = None if text is None else self._lines(text, len(piece))
            if rows is None:
                rows, of_piece = read_each(piece, of_piece, single, found.refused)
            found.rows += rows
            found.places += of_piece

    def _single(self, value: bytes, found: Documents) -> Any:
        """Read one value. Raises RefusedError, ValidationError or RecursionError."""
        try:
            return self._decoder.decode(value)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            document = _lenient(value)
            if document is None:
                raise _malformed(value, str(error)) from None
        row = msgspec.convert(document, self._kind)
        found.surrogates = True
        return row


def joined(values: Sequence[bytes | None]) -> bytes | None:
    """All values as lines, if each is one line and can be decoded with the others; else None."""
    if not values:
        return None
    try:
        text = b"\n".join(values)  # type: ignore[arg-type]  # a None raises TypeError, which is the test
        lengths = np.fromiter(map(len, values), np.int64, len(values))  # type: ignore[arg-type]  # as above
    except TypeError:
        return None
    characters = np.frombuffer(text, np.uint8)
    ends = np.cumsum(lengths + 1) - 2
    fitting = lengths.min() > 0 and lengths.max() <= MAX_RECORD_BYTES
    if (
        not fitting
        or not (characters[ends] == _CLOSING).all()
        or not (characters[ends - lengths + 1] == _OPENING).all()
    ):
        return None
    return text if np.count_nonzero(characters == _NEWLINE) == len(values) - 1 else None


def _unframed(values: Sequence[bytes | None], found: Documents) -> tuple[list[int], list[bytes]]:
    """The places and the documents of the values that may be JSON, without their framing."""
    places: list[int] = []
    documents: list[bytes] = []
    for place, value in zip(*present(values, found), strict=True):
        if not value.strip():
            found.refused.append(Refusal(place, Why.EMPTY, "the record has no value"))
            continue
        try:
            document = document_of(value)
        except FramingError as error:
            found.refused.append(Refusal(place, Why.UNKNOWN_FRAMING, str(error)))
            continue
        places.append(place)
        documents.append(document)
    return places, documents


def _lenient(value: bytes) -> Any:
    """A document as Python's decoder reads it: with NaN, which Python writes, and with bytes that are not UTF-8."""
    try:
        document = json.loads(value.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict | list) else None


def _malformed(value: bytes, message: str) -> RefusedError:
    """Why bytes are no JSON document. The error of msgspec is only a text, so this examines the bytes."""
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        return RefusedError(Why.INVALID_UTF8, f"byte {error.start} is not valid UTF-8")
    return RefusedError(Why.NOT_ONE_DOCUMENT if _goes_on_after_document(text) else Why.NOT_JSON, message)


def _goes_on_after_document(text: str) -> bool:
    """Whether a text that is not one document begins with a whole document."""
    text = text.lstrip(_WHITE_SPACE)
    try:
        document, end = _scanner.raw_decode(text)
        _check_syntax(text[:end])
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict | list)


_WHITE_SPACE = " \t\r\n"
_scanner = json.JSONDecoder(parse_int=str)
_check_syntax = msgspec.json.Decoder(msgspec.Raw).decode
