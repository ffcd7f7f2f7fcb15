"""Records into native events, a micro-batch at a time; what is no event is named, never raised.

Native JSON is decoded in one call over the joined batch. That is safe only if it gives one event for every
record: every record must begin with a brace where the one before ended with one, so that none is blank and no
document goes on in the next. Any other batch, and one with a record of several lines or with any error, is decoded
record by record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from detectors.events import MAX_ID_BYTES, METRIC_INDEX, Event
from streams.deadletters import Why
from streams.mapping import MapError, Mapper
from streams.settings import Input

MAX_RECORD_BYTES = 64 * 1024


@dataclass(slots=True)
class Refusal:
    """Why record ``index`` of a batch is no event."""

    index: int
    reason: Why
    message: str


class Codec:
    """Decoder of one input topic."""

    def __init__(self, config: Input, earliest_ms: int = 0) -> None:
        self._default = None if config.metric is None else METRIC_INDEX[config.metric]
        self._earliest_ms = earliest_ms
        self._decoder = msgspec.json.Decoder(Event)
        self._mapper = None if config.map is None else Mapper(config.map, config.metric)

    def decode(
        self, values: Sequence[bytes | None], latest_ms: Sequence[int]
    ) -> tuple[list[tuple[int, int, Event]], list[Refusal]]:
        """Decode a batch.

        ``latest_ms[i]`` is the latest acceptable time of record i. Answers (index, metric index, event) for the
        good ones, in order, and a refusal for each of the others.
        """
        refused: list[Refusal] = []
        events = self._joined(values)
        if events is None:
            events = [self._single(index, value, refused) for index, value in enumerate(values)]
        good = []
        default, earliest = self._default, self._earliest_ms
        metric_index = METRIC_INDEX
        for index, event in enumerate(events):
            if event is None:
                continue
            metric = default if event.metric is None else metric_index[event.metric]
            if (
                metric is not None
                and earliest <= event.ts <= latest_ms[index]
                and event.target.isascii()
                and event.actor.isascii()
                and (event.id is None or event.id.isascii())
            ):
                good.append((index, metric, event))
                continue
            refusal = _unacceptable(index, event, metric, earliest, latest_ms[index])
            if refusal is None and metric is not None:
                good.append((index, metric, event))
            elif refusal is not None:
                refused.append(refusal)
        refused.sort(key=lambda r: r.index)
        return good, refused

    def _joined(self, values: Sequence[bytes | None]) -> list[Event | None] | None:
        if self._mapper is not None or not values:
            return None
        try:
            joined = b"\n".join(values)  # type: ignore[arg-type]  # a None raises TypeError, which is the test
            seams = len(values) - 1
            if joined.count(b"\n") != seams or joined.count(b"}\n{") != seams or joined[:1] != b"{":
                return None
            if max(map(len, values)) > MAX_RECORD_BYTES:  # type: ignore[arg-type]  # no None left here
                return None
            events: list[Event | None] = list(self._decoder.decode_lines(joined))
        except (TypeError, ValueError, RecursionError):
            return None
        return events if len(events) == len(values) else None

    def _single(self, index: int, value: bytes | None, refused: list[Refusal]) -> Event | None:
        if not value or not value.strip():
            refused.append(Refusal(index, Why.EMPTY, "the record has no value"))
            return None
        if len(value) > MAX_RECORD_BYTES:
            message = f"the record has {len(value):,} bytes; {MAX_RECORD_BYTES:,} are allowed"
            refused.append(Refusal(index, Why.TOO_LARGE, message))
            return None
        decode: Callable[[bytes], Event] = self._decoder.decode if self._mapper is None else self._mapper.decode
        try:
            return decode(value)
        except MapError as error:
            refused.append(Refusal(index, error.reason, str(error)))
        except RecursionError:
            refused.append(Refusal(index, Why.TOO_DEEP, "the document is nested too deeply"))
        except UnicodeDecodeError as error:  # its position is within one text, not within the record
            refused.append(Refusal(index, Why.INVALID_UTF8, _bad_byte(value) or str(error)))
        except msgspec.ValidationError as error:
            refused.append(Refusal(index, _kind(str(error)), str(error)))
        except msgspec.DecodeError as error:
            refused.append(Refusal(index, _malformed(value, str(error)), str(error)))
        return None


def _unacceptable(index: int, event: Event, metric: int | None, earliest: int, latest: int) -> Refusal | None:
    if metric is None:
        return Refusal(index, Why.MISSING_FIELD, "the event has no metric and its topic declares none - at `$.metric`")
    if event.ts < earliest:
        return Refusal(index, Why.BEFORE_FLOOR, f"{event.ts} ms is before the floor of {earliest} ms - at `$.ts`")
    if event.ts > latest:
        return Refusal(index, Why.FROM_FUTURE, f"{event.ts} ms is more than the skew allowed ahead - at `$.ts`")
    for name, value in (("target", event.target), ("actor", event.actor), ("id", event.id)):
        if value is None:
            continue
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            return Refusal(index, Why.INVALID_UTF8, f"a lone surrogate is no character - at `$.{name}`")
        if size > MAX_ID_BYTES:
            return Refusal(index, Why.BAD_ID, f"{size} bytes; {MAX_ID_BYTES} are allowed - at `$.{name}`")
    return None


def _kind(message: str) -> Why:
    if "missing required field" in message:
        return Why.MISSING_FIELD
    if "`$.metric`" in message and "Invalid enum value" in message:
        return Why.UNKNOWN_METRIC
    if "of length" in message and any(f"`$.{name}`" in message for name in ("id", "actor", "target", "owner")):
        return Why.BAD_ID
    if "`$.ts`" in message and ("`int` >=" in message or "`int` <=" in message or "out of range" in message):
        return Why.BAD_TIME
    return Why.WRONG_TYPE


def _bad_byte(value: bytes) -> str:
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start} is not valid UTF-8"
    return ""


def _malformed(value: bytes, message: str) -> Why:
    if _bad_byte(value):
        return Why.INVALID_UTF8
    return Why.NOT_ONE_DOCUMENT if "trailing characters" in message else Why.NOT_JSON
