"""Decodes rows of a recorded file into events, as a worker decodes the records of a topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from detectors.events.event import FIELDS, METRICS, REQUIRED, Event
from streams.deadletters import DeadLetter
from streams.grammar.fields import FLAGS
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Decoded, Good, Records
from streams.offline.recorded.file import RecordedFile
from streams.offline.recorded.order import MEMORY_BYTES, Order, Timed, sorted_rows
from streams.offline.recorded.row import Row
from streams.settings.event_time import Time
from streams.settings.inputs import Input

BATCH_ROWS = 1000

_value, _original, _line = attrgetter("value"), attrgetter("original"), attrgetter("line")


def records_of(rows: Sequence[Row], first: int, clock_ms: int) -> Records:
    """Rows that are documents as records at offsets from ``first`` on, all with the clock time ``clock_ms``."""
    size = len(rows)
    originals = list(map(_original, rows))
    return Records(
        np.arange(first, first + size),
        [None] * size,
        list(map(_value, rows)),
        np.full(size, clock_ms),
        original=originals,
        line=list(map(_line, rows)),
    )


class RowDecoder:
    """Decodes batches of rows. ``clock_ms`` is the time at which the command began."""

    def __init__(self, config: Input, time: Time, clock_ms: int) -> None:
        self._decoder = EventDecoder(config, time.earliest)
        self._clock_ms = clock_ms
        self._skew_ms = round(time.future_skew_seconds * 1000)

    def batches(self, rows: Iterable[Row]) -> Iterator[tuple[list[Row], list[Row], Decoded]]:
        """(all rows of a batch, those that are documents, these decoded)."""
        for batch in batched(rows, BATCH_ROWS):
            documents = [row for row in batch if row.value is not None]
            decoded = Decoded()
            if documents:
                records = records_of(documents, 0, self._clock_ms)
                decoded = self._decoder.decode(records, records.clock_ms + self._skew_ms)
            yield batch, documents, decoded


def unreadable(topic: str, row: Row) -> DeadLetter:
    """The dead letter of a row that is not a document."""
    assert row.reason is not None, "the reader gives a reason"
    return DeadLetter(topic, 0, row.line, None, row.original, row.reason, row.message, row.line)


def batched(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """The rows in lists of ``size``, the last of which may be shorter."""
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


def events_of(good: Good) -> Iterator[tuple[int, Event]]:
    """Each event with the index of its row among the documents of its batch. The metric is filled in."""
    columns = [good.fields[name] for name in FIELDS if name != "metric"]
    names = [name for name in FIELDS if name != "metric"]
    for place, metric, *values in zip(good.index.tolist(), good.metric.tolist(), *columns, strict=True):
        yield place, Event(**dict(zip(names, values, strict=True)), metric=METRICS[metric])


def in_order(
    recorded: RecordedFile, time: Time, clock_ms: int, *, progress: Callable[[int], None] = lambda _: None
) -> bool:
    """Whether no event of the file is late by more than ``time.lateness_seconds``.

    It reads the file up to the first late event. ``progress`` gets the number of records so far. Raises SettingsError.
    """
    records = 0
    order = Order(round(time.lateness_seconds * 1000))
    decoder = RowDecoder(_times_only(recorded.input), time, clock_ms)
    with closing(recorded.rows()) as rows:
        for batch, _, decoded in decoder.batches(rows):
            records += len(batch)
            progress(records)
            if decoded.good is not None and not order.add(_live(decoded.good)):
                return False
    return True


@contextmanager
def rows_by_time(
    recorded: RecordedFile,
    time: Time,
    clock_ms: int,
    memory_bytes: int = MEMORY_BYTES,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Iterator[Row]]:
    """The file's rows in order of time; see ``sorted_rows``. Raises SettingsError.

    ``progress`` gets the number of records that have been read so far, to be sorted.
    """
    decoder = RowDecoder(_times_only(recorded.input), time, clock_ms)
    with closing(recorded.rows()) as rows, sorted_rows(_timed(rows, decoder, progress), memory_bytes) as ordered:
        yield ordered


def _live(good: Good) -> NDArray[np.int64]:
    """Times of the events that are not history: history is never late."""
    historic = good.fields["history"]
    return good.ts if True not in historic else good.ts[~np.fromiter(historic, np.bool_, len(historic))]


def _timed(rows: Iterable[Row], decoder: RowDecoder, progress: Callable[[int], None]) -> Iterator[Timed]:
    """Each row with the time of its latest event, so that it makes no event of another row late.

    A row without an event gets the time of the row before.
    """
    latest, records = -1, 0
    for batch, documents, decoded in decoder.batches(rows):
        records += len(batch)
        progress(records)
        times = np.full(len(documents), -1)
        if decoded.good is not None:
            np.maximum.at(times, decoded.good.index, decoded.good.ts)
        found = iter(times.tolist())
        for row in batch:
            own = next(found) if row.value is not None else -1
            latest = own if own >= 0 else latest
            yield latest, row


def _times_only(config: Input) -> Input:
    """The input with required fields and flags only: the others cannot refuse a record, and reading is faster."""
    if config.map is None:
        return config
    needed = {name: source for name, source in config.map.items() if name in (*REQUIRED, *FLAGS)}
    return config.model_copy(update={"map": needed})
