"""Records into native events, a micro-batch at a time; what is no event is named, never raised.

Native JSON is decoded in one call over the joined batch. That is safe only if it gives one event for every
record: every record must begin with a brace where the one before ended with one, so that none is blank and no
document goes on in the next. Any other batch, and one with a record of several lines or with any error, is decoded
record by record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.events import FIELDS, MAX_ID_BYTES, METRIC_INDEX, Event
from streams.deadletters import Why
from streams.mapping import MapError, Mapper
from streams.settings import Input

MAX_RECORD_BYTES = 64 * 1024
_OPENING, _CLOSING, _NEWLINE = b"{}\n"


Fields = dict[str, Sequence[Any]]


@dataclass(slots=True)
class Refusal:
    """Why record ``index`` of a batch is no event."""

    index: int
    reason: Why
    message: str


@dataclass(slots=True)
class Good:
    """The events of a batch, a column a field."""

    index: NDArray[np.intp]
    """place of each in the batch"""
    metric: NDArray[np.int8]
    ts: NDArray[np.int64]
    """epoch ms"""
    fields: Fields
    """of the native event, by name; ``metric`` may be None there"""

    def without(self, places: list[int]) -> Good | None:
        """The others; None if there are none."""
        left = np.delete(np.arange(len(self.ts)), places)
        if not len(left):
            return None
        kept = left.tolist()
        fields: Fields = {name: [column[place] for place in kept] for name, column in self.fields.items()}
        return Good(self.index[left], self.metric[left], self.ts[left], fields)


class Codec:
    """Decoder of one input topic."""

    def __init__(self, config: Input, earliest_ms: int = 0) -> None:
        self._default = None if config.metric is None else METRIC_INDEX[config.metric]
        self._earliest_ms = earliest_ms
        self._decoder = msgspec.json.Decoder(Event)
        self._mapper = None if config.map is None else Mapper(config.map, config.metric)

    def decode(self, values: Sequence[bytes | None], latest_ms: NDArray[np.int64]) -> tuple[Good | None, list[Refusal]]:
        """Decode a batch.

        ``latest_ms[i]`` is the latest acceptable time of record i. Answers the good ones in order (None if there are
        none), and a refusal for each of the others.
        """
        refused: list[Refusal] = []
        index = np.arange(len(values))
        plain, joined = self._joined(values)
        events: Sequence[Event] | None = joined
        if events is None:
            single = [self._single(place, value, refused) for place, value in enumerate(values)]
            index = np.array([place for place, event in enumerate(single) if event is not None], np.intp)
            events = [event for event in single if event is not None]
        if not events:
            return None, refused
        fields = _fields(events)
        good = Good(index, self._metrics(fields["metric"]), np.fromiter(fields["ts"], np.int64, len(events)), fields)
        wrong = []
        for place in np.nonzero(self._odd(good, latest_ms[index], plain))[0].tolist():
            number = int(index[place])
            refusal = self._unacceptable(number, events[place], int(good.metric[place]), int(latest_ms[number]))
            if refusal is not None:
                refused.append(refusal)
                wrong.append(place)
        if not wrong:
            return good, refused
        refused.sort(key=lambda r: r.index)
        return good.without(wrong), refused

    def _metrics(self, names: Sequence[str | None]) -> NDArray[np.int8]:
        """Indexes of metrics, -1 where an event has none and its topic declares none."""
        known: dict[str | None, int] = {None: -1 if self._default is None else self._default}
        known.update(METRIC_INDEX)
        if names.count(names[0]) == len(names):
            return np.full(len(names), known[names[0]], np.int8)
        return np.fromiter(map(known.__getitem__, names), np.int8, len(names))

    def _odd(self, good: Good, latest_ms: NDArray[np.int64], plain: bool) -> NDArray[np.bool_]:
        """Which events need a closer look. Nearly none: what is good in all of a column is seen at once.

        ``plain`` says that no text can have any other character than of ASCII.
        """
        odd: NDArray[np.bool_] = (good.ts < self._earliest_ms) | (good.ts > latest_ms) | (good.metric < 0)
        if plain:
            return odd
        for name in ("target", "actor", "id"):
            column = good.fields[name]
            texts = column if None not in column else [text or "" for text in column]
            if not "".join(texts).isascii():
                odd |= np.fromiter((not text.isascii() for text in texts), np.bool_, len(texts))
        return odd

    def _joined(self, values: Sequence[bytes | None]) -> tuple[bool, list[Event] | None]:
        """All events decoded in one call, if that is safe, and whether all there was is ASCII without escapes."""
        if self._mapper is not None or not values:
            return False, None
        try:
            joined = b"\n".join(values)  # type: ignore[arg-type]  # a None raises TypeError, which is the test
            lengths = np.fromiter(map(len, values), np.int64, len(values))  # type: ignore[arg-type]  # as above
        except TypeError:
            return False, None
        text = np.frombuffer(joined, np.uint8)
        ends = np.cumsum(lengths + 1) - 2
        fitting = lengths.min() > 0 and lengths.max() <= MAX_RECORD_BYTES
        braced = fitting and (text[ends] == _CLOSING).all() and (text[ends - lengths + 1] == _OPENING).all()
        if not braced or np.count_nonzero(text == _NEWLINE) != len(values) - 1:
            return False, None
        try:
            events = self._decoder.decode_lines(joined)
        except (ValueError, RecursionError):
            return False, None
        if len(events) != len(values):
            return False, None
        return joined.isascii() and b"\\" not in joined, events

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

    def _unacceptable(self, index: int, event: Event, metric: int, latest: int) -> Refusal | None:
        earliest = self._earliest_ms
        if metric < 0:
            return Refusal(
                index, Why.MISSING_FIELD, "the event has no metric and its topic declares none - at `$.metric`"
            )
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


def _fields(events: Sequence[Event]) -> Fields:
    return dict(zip(FIELDS, zip(*map(msgspec.structs.astuple, events), strict=True), strict=True))


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
