"""Faust's transport, delivering each partition's fetched chunk as one message.

A Faust agent costs about 230 µs a message, so it must not get one message an event. Each chunk also says from which
position it was fetched, because that is the only way to tell a lost batch from offsets that transaction markers or
compaction took: Faust may drop messages it has already fetched when a rebalance passes by.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import faust.transport.drivers.aiokafka as driver
from aiokafka.structs import TopicPartition
from faust.types import TP
from faust.types.tuples import ConsumerMessage

MAX_CHUNK_RECORDS = 4000
"""Records a message may carry: large enough to spread Faust's cost, small enough for a quick turn of the loop."""

MAX_CHUNK_BYTES = 1024 * 1024
"""Frames are hundreds of events each: thousands of them at once would keep the loop from turning for a minute."""

FETCH_WAIT_MS = 100
"""How long the broker may wait for something to send, where Faust says 1,500.

One request at a time is under way to a broker: while it waits for partitions that have nothing, the ones whose records
have been taken in the meantime cannot be asked for.
"""

SEEK_SECONDS = 10.0
"""A loop that does not get round to a seek for so long has ended."""


@dataclass(slots=True)
class Batch:
    """Records of one partition in offset order, fetched from ``start`` (None: not known, first after assignment)."""

    tp: TP
    start: int | None
    records: list[Any]

    @property
    def next(self) -> int:
        """The offset after the last record."""
        return int(self.records[-1].offset) + 1


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads only what has been committed, and is never kept waiting: Faust's own thread can be told neither."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = transport.isolation_level  # noqa: SLF001  # aiokafka reads both at start()
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001  # as above
        return consumer

    async def _fetch_records(self, consumer: Any, *args: Any, **kwargs: Any) -> Any:
        """Take the records that have come as aiokafka's parser made them: topic and sizes of each cost 0.7 µs more."""
        for fetched in consumer._fetcher._records.values():  # noqa: SLF001  # Faust too takes from its fetcher
            parsed = getattr(fetched, "_partition_records", None)  # an error may stand there, or what is used up
            if parsed is not None:
                parsed._consumer_record = _as_parsed  # noqa: SLF001  # the only place where it can be told
        return await super()._fetch_records(consumer, *args, **kwargs)


def _as_parsed(_tp: TopicPartition, record: Any) -> Any:
    """A record with offset, timestamp, timestamp_type, key, value and headers."""
    return record


class BatchConsumer(driver.Consumer):
    """See the module."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._next_start: dict[TP, int] = {}
        self._sought: dict[TP, int | None] = {}
        self._held: set[TP] = set()
        self._read_offset = _Forgetful(lambda: None)

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109  # Faust's signature
        """Yield one message for each chunk of a partition."""
        generation = self.app.consumer_generation_id
        self._sought.clear()
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        chunks = await self._seek_again(records)
        self._held = set(chunks)
        for tp, chunk in chunks.items():
            # Either may have changed while a message waited for a place in the stream.
            moved_on = self.app.consumer_generation_id != generation
            stale = moved_on or not self.flow_active
            if stale or (active is not None and tp not in active and tp not in self._buffered_partitions):
                self._next_start.pop(tp, None)  # dropped: what comes next does not follow on
                self._held.discard(tp)
                continue
            for piece in pieces(chunk):
                batch = Batch(TP(tp.topic, tp.partition), self._next_start.get(tp), piece)
                self._next_start[tp] = batch.next
                if piece[-1] is chunk[-1]:
                    self._held.discard(tp)
                yield tp, _message(tp, batch, generation)

    async def _seek_again(self, records: Mapping[TP, Any]) -> dict[TP, Any]:
        """The chunks, less those of partitions sought while the fetch was under way, which are sought again.

        The chunk may be from before the seek, and picking it up may have moved the position after the seek. Taken
        for what follows the sought offset, it would hide the records in between.
        """
        chunks = {tp: chunk for tp, chunk in records.items() if chunk}
        for tp, offset in list(self._sought.items()):
            if chunks.pop(tp, None) is None:
                continue
            if offset is None:
                self._next_start.pop(tp, None)
            else:
                await self.seek(tp, offset)
        return chunks

    async def seek(self, partition: TP, offset: int) -> None:
        """Seek, and remember where the next chunk will have been fetched from."""
        self._sought[partition] = offset  # a fetch may end while this waits
        await super().seek(partition, offset)
        self._next_start[partition] = offset
        self._sought[partition] = offset

    async def _seek(self, partition: TP, offset: int) -> None:
        """In the consumer's own loop: from here, it takes what is fetched away while that loop hands it out.

        Not through the queue of calls to that thread: a fetch in it may wait for a rebalance, which waits for a task
        to be given up, which waits for this.
        """
        thread = self._thread
        consumer = thread._ensure_consumer()  # noqa: SLF001  # as below

        async def seek() -> None:
            consumer.seek(partition, offset)

        await asyncio.wait_for(
            asyncio.wrap_future(asyncio.run_coroutine_threadsafe(seek(), thread.thread_loop)), SEEK_SECONDS
        )

    async def perform_seek(self) -> None:
        """Seek to what is committed; where nothing is, the next chunk's start is unknown."""
        self._next_start.clear()
        await super().perform_seek()
        for tp in self.assignment():
            offset: int | None = self._committed_offset.get(tp) or None
            self._sought[tp] = offset
            if offset is not None:
                self._next_start[tp] = offset

    async def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit those of our partitions to the group. Raises KafkaError, where Faust's own way crashes the app."""
        ours = {(tp.topic, tp.partition) for tp in self.assignment()}
        consumer = self._thread._ensure_consumer()  # noqa: SLF001  # Faust has no public way to its aiokafka consumer
        due = {tp: offset for tp, offset in offsets.items() if (tp.topic, tp.partition) in ours}
        if due:
            await self._thread.call_thread(consumer.commit, due)

    def remaining(self, tp: TP, position: int) -> int | None:
        """Records from ``position`` to the end of what may be read, None if not known.

        Transaction markers are no records: once all that was fetched has been taken, the fetcher's position
        counts. A chunk that still waits here for a full stream has not been taken, though the fetcher is past it.
        """
        consumer = self._thread._ensure_consumer()  # noqa: SLF001  # as above
        assignment = consumer._subscription.subscription.assignment  # noqa: SLF001  # the only place that knows
        state = assignment.state_value(TopicPartition(tp.topic, tp.partition))
        end: int | None = state.lso if BatchTransport.isolation_level == "read_committed" else state.highwater
        if end is None or end < 0:
            end = state.highwater
        if end is None:
            return None
        taken = tp not in self._held and self._next_start.get(tp, position) == position
        if taken and state.has_valid_position:
            position = max(position, int(state.position))
        return max(0, end - position)

    def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has, as far as the consumer knows; 0 if it does not yet."""
        cluster = self._thread._ensure_consumer()._client.cluster  # noqa: SLF001  # as above
        return len(cluster.partitions_for_topic(topic) or ())

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Forget positions of an earlier assignment."""
        self._next_start.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Faust notes every batch as a gap between acknowledged offsets; unacknowledged, they would only grow."""


def pieces(chunk: list[Any]) -> Iterator[list[Any]]:
    """A chunk in messages of at most MAX_CHUNK_RECORDS records and about MAX_CHUNK_BYTES bytes."""
    for at in range(0, len(chunk), MAX_CHUNK_RECORDS):
        piece = chunk[at : at + MAX_CHUNK_RECORDS]
        values = [record.value for record in piece]
        size = sum(map(len, values)) if None not in values else sum(len(value or b"") for value in values)
        step = max(1, len(piece) * MAX_CHUNK_BYTES // max(size, 1))
        for place in range(0, len(piece), step):
            yield piece[place : place + step]


class _Forgetful(defaultdict[TP, Any]):
    """Faust's memory of what it has read, without memory.

    Faust drops what lies below it; set after a seek by a message from before it, that would be what the seek was for.
    Tasks skip what they have taken by themselves.
    """

    def __setitem__(self, key: TP, value: Any) -> None:
        """Forget."""

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Forget."""


def _message(tp: TP, batch: Batch, generation: int) -> ConsumerMessage:
    last = batch.records[-1]
    value: Any = batch
    return ConsumerMessage(
        tp.topic,
        tp.partition,
        last.offset,
        last.timestamp / 1000.0 if last.timestamp is not None else 0.0,
        last.timestamp_type,
        [],
        None,
        value,
        None,
        0,
        0,
        tp,
        generation_id=generation,
    )


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with batches."""

    Consumer = BatchConsumer
    isolation_level = "read_committed"
