"""Who contributed to a flag: its events are found in the log, and their records are read again from the input topics.

Frames have hashes of networks, referrers, user agents and actors, and the offset of each event's input record, which
has the texts. Nothing is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np

from detectors.events.event import MAX_TS_MS, METRIC_INDEX
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Records
from streams.kafka.bulk_reader import BulkReader, Progress
from streams.kafka.topics import Topics, partitions_of
from streams.log.frames import Frame, numbers, offsets, times
from streams.log.hashing import network_of, partition_of, referrer_host
from streams.log.versions import FrameError, decode
from streams.settings.settings import Settings

RECORDS_MAX = 10_000
"""Input records that are read; of more, every n-th is. A share is then known to about one percent."""
GAP_RECORDS = 2_000
"""Records between two wanted ones that are read too: to fetch a span of its own takes as long."""
SHOWN = 10

Offsets = dict[tuple[str, int], list[int]]
"""(input topic, partition) → offsets, ascending."""

KINDS: dict[str, tuple[str, Callable[[str], str | None]]] = {
    "networks": ("ip", network_of),
    "referrers": ("referrer", referrer_host),
    "user_agents": ("user_agent", str),
    "accounts": ("actor", str),
}
"""Kind → the field of the event, and the part of it that is counted: the same as what detection sees."""


@dataclass(slots=True)
class Contributors:
    """The events of a flag by what their input records have."""

    found: int
    """input records with events of the flag, by the log"""
    wanted: int = 0
    """of them, those that were to be read"""
    read: int = 0
    """of them, those that the input topics still have"""
    events: int = 0
    """events of the flag in these records"""
    no_input: tuple[str, ...] = ()
    """topics of the log that are no inputs of this configuration"""
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in KINDS})

    def top(self, kind: str) -> list[dict[str, Any]]:
        """The most frequent values of a kind, with their share of the events."""
        counted = sorted(self.counts[kind].items(), key=lambda each: (-each[1], each[0]))[:SHOWN]
        return [{"value": value, "events": n, "share": round(n / self.events, 4)} for value, n in counted]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        numbers_of = {"found": self.found, "wanted": self.wanted, "read": self.read, "events": self.events}
        return {"records": numbers_of, **{kind: self.top(kind) for kind in KINDS}}


async def contributors_of(settings: Settings, flag: dict[str, Any], progress: Progress | None = None) -> Contributors:
    """Find who contributed to a flag. Raises BrokerError."""
    found = await _offsets_of(settings, flag, progress)
    inputs = {each.topic: each for each in settings.inputs}
    who = Contributors(sum(map(len, found.values())), no_input=tuple(sorted({topic for topic, _ in found} - {*inputs})))
    chosen = sample({place: places for place, places in found.items() if place[0] in inputs}, RECORDS_MAX)
    who.wanted = sum(map(len, chosen.values()))
    for topic in sorted({topic for topic, _ in chosen}):
        of_topic = {partition: places for (name, partition), places in chosen.items() if name == topic}
        decoder = EventDecoder(inputs[topic], settings.time.earliest)

        def count(records: list[Any], decoder: EventDecoder = decoder) -> None:
            _count(decoder, records, flag, who)

        await _read(BulkReader(settings, topic), of_topic, count, progress)
    return who


async def _offsets_of(settings: Settings, flag: dict[str, Any], progress: Progress | None) -> Offsets:
    """Where the input records of a flag's events are, by the log."""
    topic = Topics.of(settings).by_target
    partition = partition_of(flag["target"], partitions_of(settings, topic) or 1)
    found: dict[tuple[str, int], set[int]] = {}
    async with BulkReader(settings, topic) as reader:
        start, end = (await reader.spans())[partition]
        log = flag["log"]
        if log["partition"] == partition:  # otherwise the offsets are those of the log before a repartition
            start = max(start, log["from"])
            end = min(end, log["to"] + 1) if log["to"] >= 0 else end
        async for _, records in reader.read({partition: (start, end)}, progress):
            for record in records:
                try:
                    frame = decode(record.value)
                except FrameError:
                    continue  # a worker has reported it
                name, _, number = frame.source.rpartition("/")
                for place in _places(frame, flag):
                    found.setdefault((name, int(number)), set()).add(place)
    return {source: sorted(places) for source, places in found.items()}


def _places(frame: Frame, flag: dict[str, Any]) -> Iterable[int]:
    """The input offsets of a flag's events in a frame."""
    if flag["target"] not in frame.target:
        return ()
    rows = np.fromiter((target == flag["target"] for target in frame.target), bool, len(frame.target))
    ts = times(frame)
    rows &= (numbers(frame, "metric") == METRIC_INDEX[flag["metric"]]) & (ts >= flag["onset"]) & (ts < flag["until"])
    for name in ("undo", "history"):
        if getattr(frame, name):
            rows &= numbers(frame, name) == 0
    chosen: list[int] = offsets(frame)[rows].tolist()
    return chosen


def sample(found: Offsets, most: int) -> Offsets:
    """At most ``most`` of the offsets, evenly spaced.

    >>> sample({("views", 0): [1, 2, 3, 4], ("views", 1): [7, 8]}, 3)
    {('views', 0): [1, 3], ('views', 1): [7]}
    """
    total = sum(map(len, found.values()))
    step = max(1, -(-total // most))
    chosen: Offsets = {}
    passed = 0
    for place, listed in sorted(found.items()):
        kept = listed[-passed % step :: step]
        passed += len(listed)
        if kept:
            chosen[place] = kept
    return chosen


def spans_of(listed: Sequence[int], gap: int) -> Iterator[tuple[int, int]]:
    """Spans that contain the offsets, and at most ``gap`` other records between two of them.

    >>> list(spans_of([3, 4, 9, 20], gap=5))
    [(3, 10), (20, 21)]
    """
    start = listed[0]
    for before, after in zip(listed, [*listed[1:], None], strict=True):
        if after is None or after - before - 1 > gap:
            yield start, before + 1
            start = after or 0


async def _read(
    topic: BulkReader, wanted: dict[int, list[int]], take: Callable[[list[Any]], None], progress: Progress | None
) -> None:
    """Read the wanted offsets of each partition of a topic, as far as it still has them."""
    sets = {partition: frozenset(listed) for partition, listed in wanted.items()}
    async with topic as reader:
        still = await reader.spans()
        for spans in zip_longest(*(spans_of(listed, GAP_RECORDS) for listed in wanted.values())):
            now = {p: span for p, span in zip(wanted, spans, strict=True) if span is not None and p in still}
            left = {p: (max(start, still[p][0]), min(end, still[p][1])) for p, (start, end) in now.items()}
            async for partition, records in reader.read(left, progress):
                start, end = now[partition]
                of_span = [record for record in records if start <= record.offset < end]
                take([record for record in of_span if record.offset in sets[partition]])


def _count(decoder: EventDecoder, records: list[Any], flag: dict[str, Any], who: Contributors) -> None:
    """Decode records with their input's map, and count the flag's events in them."""
    if not records:
        return
    who.read += len(records)
    rows = [(record.offset, record.key, record.value, record.timestamp) for record in records]
    columns = Records.of(rows)
    if decoder.needs_headers:
        columns.headers = [record.headers for record in records]
    if decoder.needs_timestamp:
        columns.timestamp_ms = [record.timestamp for record in records]
    good = decoder.decode(columns, np.full(len(records), MAX_TS_MS)).good
    if good is None:
        return
    rows_of_flag = (
        (good.metric == METRIC_INDEX[flag["metric"]]) & (good.ts >= flag["onset"]) & (good.ts < flag["until"])
    )
    undo = good.fields["undo"]
    for row in np.nonzero(rows_of_flag)[0].tolist():
        if good.fields["target"][row] != flag["target"] or undo[row]:
            continue
        who.events += 1
        for kind, (name, part_of) in KINDS.items():
            value = good.fields[name][row]
            part = None if value is None else part_of(value)
            if part is not None:
                who.counts[kind][part] += 1
