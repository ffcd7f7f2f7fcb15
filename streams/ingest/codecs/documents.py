"""JSON documents of a batch of records, all at once where that is safe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from streams.deadletters import TOMBSTONE, Why
from streams.ingest.codecs.framing import FramingError, document_of
from streams.ingest.codecs.records import Decoded, Refusal

MAX_RECORD_BYTES = 64 * 1024
PIECE = 32
"""Records of a piece of a batch that could not be decoded as a whole."""
_OPENING, _CLOSING, _NEWLINE = b"{}\n"


@dataclass(slots=True)
class Found:
    """The documents of a batch and the places of their records."""

    documents: list[Any] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    text: bytes | None = None
    """all of them, if they were decoded together"""
    odd: bool = False
    """whether a text may hold what is no character"""


class Documents:
    """Decoder of documents of one type."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind)

    def read(self, values: Sequence[bytes | None], decoded: Decoded) -> Found:
        """Decode a batch; what is no document is refused or skipped in ``decoded``."""
        found = Found()
        text = joined(values)
        if text is None:
            found.places, given = _documents(values, decoded)
            text = joined(given) if given else None
        else:
            found.places, given = list(range(len(values))), values  # type: ignore[assignment]  # none of them is None
        documents = None if text is None else self._lines(text, len(given))
        if documents is not None:
            found.documents, found.text = documents, text
        else:
            self._pieces(given, decoded, found)
        return found

    def _lines(self, text: bytes, size: int) -> list[Any] | None:
        try:
            documents: list[Any] = self._decoder.decode_lines(text)
        except (ValueError, RecursionError):
            return None
        return documents if len(documents) == size else None

    def _pieces(self, values: Sequence[bytes], decoded: Decoded, found: Found) -> None:
        """As ``read``, piece by piece, so that one bad record costs its neighbours little."""
        places, found.places = found.places, []
        for begin in range(0, len(values), PIECE):
            piece = values[begin : begin + PIECE]
            text = joined(piece) if len(values) > PIECE else None
            documents = None if text is None else self._lines(text, len(piece))
            if documents is not None:
                found.documents += documents
                found.places += places[begin : begin + PIECE]
                continue
            for place, value in zip(places[begin : begin + PIECE], piece, strict=True):
                document = self._single(place, value, decoded, found)
                if document is not None:
                    found.documents.append(document)
                    found.places.append(place)

    def _single(self, place: int, value: bytes, decoded: Decoded, found: Found) -> Any:
        try:
            return self._decoder.decode(value)
        except RecursionError:
            decoded.refused.append(Refusal(place, Why.TOO_DEEP, "the document is nested too deeply"))
            return None
        except msgspec.ValidationError as error:
            # Only its outermost type can be wrong: whatever stands inside is read.
            decoded.refused.append(Refusal(place, Why.WRONG_TYPE, str(error)))
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            document = _lenient(value)
            if document is not None:
                try:
                    document = msgspec.convert(document, self._kind)
                except msgspec.ValidationError as other:
                    decoded.refused.append(Refusal(place, Why.WRONG_TYPE, str(other)))
                    return None
                found.odd = True
                return document
            decoded.refused.append(Refusal(place, *_malformed(value, str(error))))
            return None


def joined(values: Sequence[bytes | None]) -> bytes | None:
    """All values as lines, if each is one and can be decoded with the others; else None."""
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


def _documents(values: Sequence[bytes | None], decoded: Decoded) -> tuple[list[int], list[bytes]]:
    """The values that may be documents, without what stands around them, and their places."""
    places: list[int] = []
    given: list[bytes] = []
    for place, value in enumerate(values):
        if value is None:
            decoded.skip(TOMBSTONE, 1)
        elif len(value) > MAX_RECORD_BYTES:
            message = f"the record has {len(value):,} bytes; {MAX_RECORD_BYTES:,} are allowed"
            decoded.refused.append(Refusal(place, Why.TOO_LARGE, message))
        elif not value.strip():
            decoded.refused.append(Refusal(place, Why.EMPTY, "the record has no value"))
        else:
            try:
                document = document_of(value)
            except FramingError as error:
                decoded.refused.append(Refusal(place, Why.UNKNOWN_FRAMING, str(error)))
                continue
            places.append(place)
            given.append(document)
    return places, given


def _lenient(value: bytes) -> Any:
    """A document as Python's decoder reads it: with NaN, which Python writes, and with bytes that are no character."""
    try:
        document = json.loads(value.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict | list) else None


def _malformed(value: bytes, message: str) -> tuple[Why, str]:
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return Why.INVALID_UTF8, f"byte {error.start} is not valid UTF-8"
    return (Why.NOT_ONE_DOCUMENT if "trailing characters" in message else Why.NOT_JSON), message
