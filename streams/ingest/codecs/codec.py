"""Records into columns of native events, a batch at a time; what is no event is named, never raised.

JSON documents are decoded in one call over the joined batch. That is safe only if it gives one document for every
record: every record must begin with a brace where the one before ended with one, so that none is blank and no document
goes on in the next. A batch that fails is cut into pieces, and a piece that fails is decoded record by record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.events.event import FIELDS, METRIC_INDEX, Event
from streams.deadletters import FILTERED, NO_ELEMENTS, Why
from streams.grammar.times import PLAUSIBLE_FROM_MS, kind_of, unit_hint
from streams.ingest.codecs.addresses import addresses, plain
from streams.ingest.codecs.documents import Documents, joined
from streams.ingest.codecs.mapper import Mapped, Mapper, limit_ids
from streams.ingest.codecs.records import MAX_EVENTS, Decoded, Fields, Good, Records, Refusal
from streams.ingest.codecs.sources import DocumentShape, Rows
from streams.ingest.codecs.transform import Transform
from streams.settings.inputs import Mapping


class Codec:
    """Decoder of one input."""

    def __init__(self, config: Mapping, earliest_ms: int = PLAUSIBLE_FROM_MS) -> None:
        self._default = None if config.metric is None else METRIC_INDEX[config.metric]
        self._earliest_ms = earliest_ms if config.earliest is None else config.earliest
        self._strict = msgspec.json.Decoder(Event) if config.is_native() else None
        self._mapper = Mapper(config)
        self._transform = None if config.transform is None else Transform(config.transform)
        self._whole = config.each == "$"
        outer = self._mapper.outer_shape
        self._documents = Documents(list[Any] if self._whole else (outer or self._mapper.shape).type)
        self._nobody = frozenset(config.nobody())
        self._addresses = addresses()
        source = None if config.map is None else config.map["ts"]
        self._unit = "ms" if source is None else None if source.first else source.time or "ms"
        self.needs_headers = self._transform is not None or self._mapper.needs_headers
        """whether the headers of records must be given, and likewise their timestamps"""
        self.needs_timestamp = self._transform is not None or self._mapper.needs_timestamp

    def decode(self, records: Records, latest_ms: NDArray[np.int64]) -> Decoded:
        """Decode a batch.

        ``latest_ms[i]`` is the latest acceptable time of record i. Answers its events in order, and a refusal for each
        record that is none or has an element that is none.
        """
        decoded = Decoded()
        good: Good | None = None
        strict = self._strict_events(records)
        if strict is not None:
            good = self._strictly(*strict, decoded)
        else:
            rows = self._rows(records, decoded)
            if len(rows):
                rows, filtered = self._mapper.filtered(rows)
                decoded.skip(FILTERED, filtered)
            if len(rows):
                mapped = self._mapper.columns(rows)
                good = self._good(rows, mapped, decoded)
        decoded.good = None if good is None else self._in_time(good, latest_ms, decoded)
        if decoded.refused:
            first: dict[int, Refusal] = {}
            for refusal in decoded.refused:
                first.setdefault(refusal.index, refusal)
            decoded.refused = [first[index] for index in sorted(first)]
        return decoded

    # ---------------------------------------------------------------- native events

    def _strict_events(self, records: Records) -> tuple[bytes, list[Event]] | None:
        """The text of good native events and the events, decoded in one go; None if they are anything else."""
        text = None if self._strict is None else joined(records.value)
        if self._strict is None or text is None:
            return None
        try:
            events = self._strict.decode_lines(text)
        except (ValueError, RecursionError):
            return None
        return (text, events) if len(events) == len(records.value) else None

    def _strictly(self, text: bytes, events: list[Event], decoded: Decoded) -> Good | None:
        """The columns of good native events, as far as their ids and addresses are good too."""
        fields: Fields = dict(zip(FIELDS, zip(*map(msgspec.structs.astuple, events), strict=True), strict=True))
        mapped = Mapped(fields)  # type: ignore[arg-type]  # tuples for lists: what is changed below is made anew
        mapped.leave_out(self._nobody)
        ips = fields["ip"]
        all_plain = plain(ips)
        if not all_plain:
            fields["ip"] = mapped.readable("ip", self._addresses(list(ips)))
        if b"\\" in text or not text.isascii():
            limit_ids(mapped)
        good = self._assembled(np.arange(len(events)), mapped, decoded)
        if good is not None:
            good.plain_addresses = all_plain and None not in ips
        return good

    # ---------------------------------------------------------------- anything else

    def _rows(self, records: Records, decoded: Decoded) -> Rows:
        shape = self._mapper.shape
        if self._transform is not None:
            documents, places = self._transform.events(records, shape.type, decoded)
            return Rows(records, shape, documents, None, places)
        found = self._documents.read(records.value, decoded)
        index = None if len(found.documents) == len(records.value) else found.places
        rows = Rows(records, shape, found.documents, found.text, index, odd=found.odd)
        return rows if not self._mapper.fans_out else self._elements(rows, found.places, decoded)

    def _elements(self, records: Rows, places: list[int], decoded: Decoded) -> Rows:
        """A row for each element of each document's list."""
        outer_shape = self._mapper.outer_shape
        if self._whole or outer_shape is None or self._mapper.each is None:
            lists, outers = list(records.documents), list(records.documents)
        else:
            outers = list(records.documents)
            lists = outer_shape.column(outers, self._mapper.each, records.text)
        documents: list[Any] = []
        around: list[Any] = []
        index: list[int] = []
        numbers: list[int] = []
        for place, elements, outer in zip(places, lists, outers, strict=True):
            if elements is None or elements == []:
                decoded.skip(NO_ELEMENTS, 1)
            elif not isinstance(elements, list):
                message = f"Expected `array`, got `{kind_of(elements)}` - at `{self._mapper.each}`"
                decoded.refused.append(Refusal(place, Why.WRONG_TYPE, message))
            elif len(elements) > MAX_EVENTS:
                message = f"{len(elements):,} events in one record; {MAX_EVENTS} are allowed"
                decoded.refused.append(Refusal(place, Why.TOO_MANY_EVENTS, message))
            else:
                size = len(elements)
                documents += elements
                around += [outer] * size
                index += [place] * size
                numbers += range(size)
        shape = DocumentShape()
        return Rows(records.records, shape, documents, None, index, outer_shape, around, numbers, records.odd)

    def _good(self, rows: Rows, mapped: Mapped, decoded: Decoded) -> Good | None:
        index = np.arange(len(rows)) if rows.index is None else np.array(rows.index, np.intp)
        if rows.element:
            for row, (why, message) in mapped.refused.items():
                mapped.refused[row] = why, f"element {rows.element[row]}: {message}"
        return self._assembled(index, mapped, decoded)

    def _assembled(self, index: NDArray[np.intp], mapped: Mapped, decoded: Decoded) -> Good | None:
        """The rows that are not refused; the others become refusals of their records."""
        decoded.note_unread(mapped.unread)
        fields: Fields = mapped.fields  # type: ignore[assignment]  # lists are sequences
        if mapped.refused:
            for row in sorted(mapped.refused):
                why, message = mapped.refused[row]
                decoded.refused.append(Refusal(int(index[row]), Why(why), message))
            kept = [row for row in range(len(index)) if row not in mapped.refused]
            if not kept:
                return None
            index = index[kept]
            fields = {name: [column[row] for row in kept] for name, column in fields.items()}
        ts = np.fromiter(fields["ts"], np.int64, len(index))
        metric = self._metrics(fields["metric"])
        good = Good(index, metric, ts, fields)
        lacking = np.nonzero(metric < 0)[0].tolist()
        if lacking:
            message = "the event has no metric and its topic declares none - at `$.metric`"
            decoded.refused += [Refusal(int(index[row]), Why.MISSING_FIELD, message) for row in lacking]
            return good.without(lacking)
        return good

    def _metrics(self, names: Sequence[str | None]) -> NDArray[np.int8]:
        """Indexes of metrics, -1 where an event has none and its topic declares none."""
        known: dict[str | None, int] = {None: -1 if self._default is None else self._default}
        known.update(METRIC_INDEX)
        if names.count(names[0]) == len(names):
            return np.full(len(names), known[names[0]], np.int8)
        return np.fromiter(map(known.__getitem__, names), np.int8, len(names))

    def _in_time(self, good: Good, latest_ms: NDArray[np.int64], decoded: Decoded) -> Good | None:
        """The events that are neither before the floor nor from the future."""
        latest = latest_ms[good.index]
        out = np.nonzero((good.ts < self._earliest_ms) | (good.ts > latest))[0].tolist()
        if not out:
            return good
        for row in out:
            index, ts = int(good.index[row]), int(good.ts[row])
            if ts < self._earliest_ms:
                why, said = Why.BEFORE_FLOOR, f"{ts} ms is before the floor of {self._earliest_ms} ms (time.earliest)"
            else:
                why, said = Why.FROM_FUTURE, f"{ts} ms is further ahead than time.future_skew_seconds allows"
            hint = unit_hint(ts, self._unit, int(latest[row]))
            decoded.refused.append(Refusal(index, why, f"{said}{hint} - at `{self._mapper.where('ts')}`"))
        return good.without(out)
