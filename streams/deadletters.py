"""Bad input: a closed set of reasons, and the record that keeps the original."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

TOMBSTONE, FILTERED, NO_ELEMENTS = "tombstone", "filtered", "no_elements"

SKIPPED: tuple[str, ...] = (TOMBSTONE, FILTERED, NO_ELEMENTS)

MAX_LETTER_BYTES = 900_000
"""Brokers accept records of 1 MB by default; an input topic may have been allowed larger ones."""
MAX_CUT_BYTES = 800_000
MAX_CUT_KEY_BYTES = 64_000

Headers = list[tuple[str, bytes]]


class Why(StrEnum):
    """Why a record could not become an event. Closed: it is a metric's label."""

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
    """A refused record: where it stood, its bytes as they came, why, and at which field."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    reason: Why
    message: str
    line: int | None = None
    """of a recorded file: the number of its first line, from 1"""

    def as_line(self) -> dict[str, Any]:
        """The JSON form, for offline output; bytes as base64 because they may be anything."""
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
        """Kafka headers: the value of the dead-letter record is the original itself."""
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
        """Key, value and headers: the original's, then ours (the last of a name counts).

        What would not fit into a record is cut, and a header ``truncated`` gives the sizes: one monstrous record must
        not keep a checkpoint from ever succeeding.
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
"""Why an optional value is dropped or cut. Closed: it is a metric's label."""
