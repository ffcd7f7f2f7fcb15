"""Calls a Python function of the operator that makes native events of a record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from streams.codecs.codec import Refusal
from streams.deadletters import FILTERED, Why
from streams.grammar.times import kind_of
from streams.ingest.mapping.records import MAX_EVENTS, Decoded, Headers, Records
from streams.settings.inputs import function


class Record(NamedTuple):
    """The argument of the function."""

    value: bytes | None
    key: bytes | None
    headers: Headers
    timestamp_ms: int | None
    """the record's timestamp in Kafka; None in a recorded file"""


class Transform:
    """Calls the function once for each record."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._function = function(name)

    def events(self, records: Records, kind: type[msgspec.Struct], decoded: Decoded) -> tuple[list[Any], list[int]]:
        """Give the events of all records as structs of ``kind``, and the places of their records.

        If the function raises for a record, or returns something that is no event, the whole record is refused.
        """
        documents: list[Any] = []
        index: list[int] = []
        for place, value in enumerate(records.value):
            headers = () if records.headers is None else records.headers[place]
            timestamp = None if records.timestamp_ms is None else records.timestamp_ms[place]
            try:
                events = _listed(self._function(Record(value, records.key[place], headers, timestamp)))
                if len(events) > MAX_EVENTS:
                    message = f"{len(events):,} events in one record; {MAX_EVENTS} are allowed"
                    decoded.refused.append(Refusal(place, Why.TOO_MANY_EVENTS, message))
                    continue
                found = [msgspec.convert(event, kind) for event in events]
            except Exception as error:  # noqa: BLE001  # code of the operator must not stop the partition
                message = f"{self._name} raised {type(error).__name__}: {error}"
                decoded.refused.append(Refusal(place, Why.TRANSFORM_FAILED, message))
                continue
            if not found:
                decoded.skip(FILTERED, 1)
            documents += found
            index += [place] * len(found)
        return documents, index


def _listed(answer: Any) -> list[dict[str, Any]]:
    if answer is None:
        return []
    if isinstance(answer, dict):
        return [answer]
    if isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
        raise TypeError(f"it must return events (dicts), one or several, or None, not {kind_of(answer)}")
    events = list(answer)
    if any(not isinstance(event, dict) for event in events):
        raise TypeError("each event must be a dict with the names of the native event's fields")
    return events
