"""Dead letters: the closed set of reasons, and the record that contains the original."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

TOMBSTONE, FILTERED, NO_ELEMENTS = "tombstone", "filtered", "no_elements"

SKIPPED: tuple[str, ...] = (TOMBSTONE, FILTERED, NO_ELEMENTS)

MAX_LETTER_BYTES = 900_000
"""Brokers accept records of 1 MB by default. Records of an input topic may be larger."""
MAX_CUT_BYTES = 800_000
MAX_CUT_KEY_BYTES = 64_000

Headers = list[tuple[str, bytes]]


class Why(StrEnum):
    """Why a record did not become an event. The set is closed, because it is a label of a metric."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    INVALID_UTF8 = "invalid_utf8"
    NOT_JSON = "not_json"
    NOT_ONE_DOCUMENT = "not_one_document"
    TOO_DEEP = "too_deep"
    WRONG_TYPE = "wrong_type"
    MISSING_FIELD = "missing_field"
    UNKNOWN_METRIC = "unknown_metric"
    BAD_ID = "bad_id"
    BAD_TIME = "bad_time"
    FROM_FUTURE = "from_future"
    BEFORE_FLOOR = "before_floor"
    DAMAGED_STATE = "damaged_state"
    UNKNOWN_WORD = "unknown_word"
    UNKNOWN_FRAMING = "unknown_framing"
    NO_MATCH = "no_match"
    TOO_MANY_EVENTS = "too_many_events"
    TRANSFORM_FAILED = "transform_failed"
    BAD_ROW = "bad_row"
    UNCOUNTABLE = "uncountable"
    UNDECODABLE = "undecodable"


@dataclass(slots=True)
class DeadLetter:
    """A refused record: its topic, partition and offset, its original bytes, the reason, and a message."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    reason: Why
    message: str
    line: int | None = None
    """in a recorded file: the number of the record's first line, from 1"""

    def as_line(self) -> dict[str, Any]:
        """The JSON form for offline output. The value is base64, because it may be any bytes."""
        line = {} if self.line is None else {"line": self.line}
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            **line,
            "reason": str(self.reason),
            "message": self.message,
            "value_base64": None if self.value is None else base64.b64encode(self.value).decode(),
        }

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers. The value of the dead-letter record is the original value."""
        line = [] if self.line is None else [("line", str(self.line).encode())]
        return [
            ("topic", self.topic.encode("utf-8", "replace")),
            ("partition", str(self.partition).encode()),
            ("offset", str(self.offset).encode()),
            *line,
            ("reason", str(self.reason).encode()),
            ("message", self.message.encode("utf-8", "replace")),
        ]

    def record(self, original: Headers) -> tuple[bytes | None, bytes | None, Headers]:
        """Key, value and headers: the original headers, then those of the dead letter (the last of a name counts).

        A record that would be too large is cut, and a header ``truncated`` has the original sizes: otherwise no
        checkpoint with it could succeed.
        """
        key, value = self.key, self.value
        sizes = len(key or b""), len(value or b""), sum(len(name) + len(text or b"") for name, text in original)
        if sum(sizes) <= MAX_LETTER_BYTES:
            return key, value, [*original, *self.headers()]
        cut = f"key {sizes[0]} bytes, value {sizes[1]} bytes, headers {sizes[2]} bytes"
        headers = [*self.headers(), ("truncated", cut.encode())]
        return key and key[:MAX_CUT_KEY_BYTES], value and value[:MAX_CUT_BYTES], headers


BAD_VALUE, BAD_ADDRESS, TOO_LONG = "bad_value", "bad_address", "too_long"
UNREAD: tuple[str, ...] = (
    BAD_VALUE, BAD_ADDRESS, TOO_LONG,
    Why.WRONG_TYPE, Why.BAD_TIME, Why.BAD_ID, Why.UNKNOWN_WORD, Why.NO_MATCH, Why.INVALID_UTF8,
)  # fmt: skip  # one list
"""Why an optional value is dropped or cut. The set is closed, because it is a label of a metric."""
