"""Bad input: a closed set of reasons, and the record that keeps the original."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


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
    UNCOUNTABLE = "uncountable"


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

    def as_line(self) -> dict[str, Any]:
        """The JSON form, for offline output; bytes as base64 because they may be anything."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "reason": str(self.reason),
            "message": self.message,
            "value_base64": None if self.value is None else base64.b64encode(self.value).decode(),
        }

    def headers(self) -> list[tuple[str, bytes]]:
        """Kafka headers: the value of the dead-letter record is the original itself."""
        return [
            ("topic", self.topic.encode()),
            ("partition", str(self.partition).encode()),
            ("offset", str(self.offset).encode()),
            ("reason", str(self.reason).encode()),
            ("message", self.message.encode()),
        ]
