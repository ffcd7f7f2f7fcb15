"""Records of one input into columns of native events, a stretch at a time.

The codec of the input's format makes documents of records, and the map makes columns of events of documents. A record
that is no event is refused with its reason; nothing is raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.events.event import FIELDS, METRIC_INDEX, Event
from streams.codecs.codec import Documents, Refusal
from streams.codecs.registry import codec_named
from streams.deadletters import FILTERED, NO_ELEMENTS, TOMBSTONE, Why
from streams.grammar.times import PLAUSIBLE_FROM_MS, kind_of, unit_hint
from streams.ingest.mapping.addresses import addresses, plain
from streams.ingest.mapping.mapper import Mapped, Mapper, limit_ids
from streams.ingest.mapping.records import MAX_EVENTS, Decoded, Fields, Good, Records
from streams.ingest.mapping.sources import DocumentShape, Rows
from streams.ingest.mapping.transform import Transform
from streams.settings.inputs import Mapping


class EventDecoder:
    """Decodes the records of one input."""

    def __init__(self, config: Mapping, earliest_ms: int = PLAUSIBLE_FROM_MS) -> None:
        self._default = None if config.metric is None else METRIC_INDEX[config.metric]
        self._earliest_ms = earliest_ms if config.earliest is None else config.earliest
        self._codec = codec_named(config.codec_name())
        self._native = self._codec.reader(Event) if config.is_native() else None
        self._mapper = Mapper(config)
        self._transform = None if config.transform is None else Transform(config.transform)
        self._whole = config.each == "$"
        outer = self._mapper.outer_shape
        self._reader = self._codec.reader(list[Any] if self._whole else (outer or self._mapper.shape).type)
        self._nobody = frozenset(config.actor_placeholders())
        self._addresses = addresses()
        source = None if config.map is None else config.map["ts"]
        self._unit = "ms" if source is None else None if source.first else source.time or "ms"
        self.needs_headers = self._transform is not None or self._mapper.needs_headers
        """whether records must be given with their headers"""
        self.needs_timestamp = self._transform is not None or self._mapper.needs_timestamp
        """whether records must be given with their timestamps"""

    def decode(self, records: Records, latest_ms: NDArray[np.int64]) -> Decoded:
        """Decode a stretch of records into events, in their order, and a refusal for each record that is no event.

        ``latest_ms[i]`` is the latest acceptable time of record i. A record with several elements is refused if one of
        them is no event; its other elements are events.
        """
        decoded = Decoded()
        good: Good | None = None
        native = None if self._native is None else self._native.read_all(records.value)
        if native is not None:
            good = self._native_columns(native, decoded)
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

    def _native_columns(self, found: Documents, decoded: Decoded) -> Good | None:
        """The columns of native events that are good as a whole. Their ids and addresses are still checked."""
        events: list[Event] = found.rows
        fields: Fields = dict(zip(FIELDS, zip(*map(msgspec.structs.astuple, events), strict=True), strict=True))
        mapped = Mapped(fields)  # type: ignore[arg-type]  # tuples for lists: a column that changes is made anew
        mapped.leave_out(self._nobody)
        ips = fields["ip"]
        all_plain = plain(ips)
        if not all_plain:
            fields["ip"] = mapped.readable("ip", self._addresses(list(ips)))
        if found.text is None or b"\\" in found.text or not found.text.isascii():
            limit_ids(mapped)
        good = self._assembled(np.arange(len(events)), mapped, decoded)
        if good is not None:
            good.plain_addresses = all_plain and None not in ips
        return good

    # ---------------------------------------------------------------- all other records

    def _rows(self, records: Records, decoded: Decoded) -> Rows:
        shape = self._mapper.shape
        if self._transform is not None:
            documents, places = self._transform.events(records, shape.type, decoded)
            return Rows(records, self._codec, shape, documents, None, places)
        found = self._reader.read(records.value)
        decoded.refused += found.refused
        decoded.skip(TOMBSTONE, found.tombstones)
        rows = Rows(records, self._codec, shape, found.rows, found.text, found.places, surrogates=found.surrogates)
        return rows if not self._mapper.fans_out else self._elements(rows, decoded)

    def _elements(self, records: Rows, decoded: Decoded) -> Rows:
        """A row for each element of each document's list."""
        outer_shape, outers = self._mapper.outer_shape, list(records.documents)
        if self._whole or outer_shape is None or self._mapper.each is None:
            lists = outers
        else:
            lists = outer_shape.column(outers, self._mapper.each, records.text)
        documents: list[Any] = []
        around: list[Any] = []
        index: list[int] = []
        numbers: list[int] = []
        places = range(len(outers)) if records.index is None else records.index
        for place, elements, outer in zip(places, lists, outers, strict=True):
            if elements is None or elements == []:
                decoded.skip(NO_ELEMENTS, 1)
            elif (refusal := self._refusal_of_list(place, elements)) is not None:
                decoded.refused.append(refusal)
            else:
                size = len(elements)
                documents += elements
                around += [outer] * size
                index += [place] * size
                numbers += range(size)
        rows = Rows(records.records, self._codec, DocumentShape(), documents, None, index)
        rows.outer_shape, rows.outers, rows.element = outer_shape, around, numbers
        rows.surrogates = records.surrogates
        return rows

    def _refusal_of_list(self, place: int, elements: Any) -> Refusal | None:
        if not isinstance(elements, list):
            message = f"Expected `array`, got `{kind_of(elements)}` - at `{self._mapper.each}`"
            return Refusal(place, Why.WRONG_TYPE, message)
        if len(elements) > MAX_EVENTS:
            message = f"{len(elements):,} events in one record; {MAX_EVENTS} are allowed"
            return Refusal(place, Why.TOO_MANY_EVENTS, message)
        return None

    def _good(self, rows: Rows, mapped: Mapped, decoded: Decoded) -> Good | None:
        index = np.arange(len(rows)) if rows.index is None else np.array(rows.index, np.intp)
        if rows.element:
            for row, (why, message) in mapped.refused.items():
                mapped.refused[row] = why, f"element {rows.element[row]}: {message}"
        return self._assembled(index, mapped, decoded)

    def _assembled(self, index: NDArray[np.intp], mapped: Mapped, decoded: Decoded) -> Good | None:
        """Keep the rows that are not refused; each other row becomes a refusal of its record."""
        decoded.note_unread(mapped.unread)
        fields: Fields = mapped.fields  # type: ignore[assignment]  # a list is a sequence
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
        """Indexes of metrics; -1 if neither the event nor its topic has one."""
        known: dict[str | None, int] = {None: -1 if self._default is None else self._default}
        known.update(METRIC_INDEX)
        if names.count(names[0]) == len(names):
            return np.full(len(names), known[names[0]], np.int8)
        return np.fromiter(map(known.__getitem__, names), np.int8, len(names))

    def _in_time(self, good: Good, latest_ms: NDArray[np.int64], decoded: Decoded) -> Good | None:
        """Keep the events that are neither before the earliest nor after the latest acceptable time."""
        latest = latest_ms[good.index]
        out = np.nonzero((good.ts < self._earliest_ms) | (good.ts > latest))[0].tolist()
        if not out:
            return good
        for row in out:
            index, ts = int(good.index[row]), int(good.ts[row])
            if ts < self._earliest_ms:
                why, problem = (
                    Why.BEFORE_FLOOR,
                    f"{ts} ms is before the floor of {self._earliest_ms} ms (time.earliest)",
                )
            else:
                why, problem = Why.FROM_FUTURE, f"{ts} ms is further ahead than time.future_skew_seconds allows"
            hint = unit_hint(ts, self._unit, int(latest[row]))
            decoded.refused.append(Refusal(index, why, f"{problem}{hint} - at `{self._mapper.where('ts')}`"))
        return good.without(out)
