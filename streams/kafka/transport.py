"""Faust's transport, delivering each partition's fetched chunk as one message.

A Faust agent costs about 230 µs a message, so it must not get one message an event. Each chunk also says from which
position it was fetched, because that is the only way to tell a lost batch from offsets that transaction markers or
compaction took: Faust may drop messages it has already fetched when a rebalance passes by.

The position is the fetcher's own, read at the moment at which the chunk is picked up. What is worked out in another
loop, from what was handed on and what was sought, is wrong as soon as two seeks and a fetch pass each other.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

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

ASK_SECONDS = 10.0
"""A consumer's loop that does not get round to a seek, or an answer, for so long has ended."""


class Chunk(NamedTuple):
    """What was picked up of one partition at once."""

    start: int
    """between it and the first record there is none"""
    records: list[Any]


@dataclass(slots=True)
class Batch:
    """Records of one partition in offset order; between ``start`` and the first there are none."""

    tp: TP
    start: int
    records: list[Any]

    @property
    def next(self) -> int:
        """The offset after the last record."""
        return int(self.records[-1].offset) + 1


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads only what has been committed, and is never kept waiting: Faust's own thread can be told neither."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.passed: dict[TP, int | None] = {}
        """Where the fetcher goes on when all that was picked up is handed on: after its last record, or at an offset
        that was sought. None while something that was picked up is not handed on."""
        self._read: dict[Any, tuple[int, int]] = {}
        """two offsets between which the fetcher has found no record: after the last one, and where it stood then"""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = transport.isolation_level  # noqa: SLF001  # aiokafka reads both at start()
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001  # as above
        return consumer

    async def _fetch_records(  # type: ignore[override]  # whatever is answered goes to BatchConsumer.getmany
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109  # Faust's signature
        max_records: int | None = None,
    ) -> dict[TP, Chunk]:
        """Pick up what has come, as aiokafka's parser made it; wait for something for ``timeout`` seconds at most.

        Where each chunk starts is read right before, without a pause in which a seek could come between.
        """
        fetcher = consumer._fetcher  # noqa: SLF001  # Faust too takes from its fetcher
        loop = asyncio.get_running_loop()  # its time is the one that ``asyncio.wait`` measures by
        deadline = loop.time() + (timeout or 0.0)
        while self.consumer.flow_active:
            while fetcher._subscriptions.reassignment_in_progress:  # noqa: SLF001  # it would be waited for in there
                await fetcher._subscriptions.wait_for_assignment()  # noqa: SLF001  # as above
            fetched = _fetched(fetcher)
            picked = await super()._fetch_records(consumer, active_partitions, timeout=0, max_records=max_records)
            chunks = self._chunks(fetched, picked)
            if chunks:
                return chunks
            waiter = fetcher._create_fetch_waiter()  # noqa: SLF001  # as fetched_records waits
            done, _ = await asyncio.wait([waiter], timeout=max(0.0, deadline - loop.time()))
            if not done or fetcher._closed:  # noqa: SLF001  # as above
                waiter.cancel()
                break
            waiter.result()  # raises what the fetcher died of
        return {}

    def _chunks(self, fetched: dict[Any, tuple[Any, int]], picked: Mapping[Any, list[Any]]) -> dict[TP, Chunk]:
        """What was picked up, each with its start: before the fetch it is of, if those before it ended in markers."""
        chunks = {}
        for tp, (parsed, start) in fetched.items():
            reached = int(parsed.next_fetch_offset)
            if reached == start:
                continue  # left where it was: another fetch was larger, or it was sought away from
            after, stood = self._read.get(tp, (start, start))
            since = after if stood == start else start
            records = picked.get(tp)
            if records:
                chunks[TP(tp.topic, tp.partition)] = Chunk(since, records)
                since = int(records[-1].offset) + 1
            self._read[tp] = since, reached
        self.passed.update(dict.fromkeys(chunks))
        return chunks

    def forget(self) -> None:
        """Another assignment begins."""
        self.passed.clear()
        self._read.clear()

    async def in_loop(self, call: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        """Ask the aiokafka consumer something in its own loop; what it has fetched is handed out there too.

        Not through the queue of calls to that thread: a fetch in it may wait for a rebalance, which waits for a task
        to be given up, which waits for this. Raises TimeoutError, or what the call does.
        """
        future = asyncio.run_coroutine_threadsafe(call(self._ensure_consumer()), self.thread_loop)
        return await asyncio.wait_for(asyncio.wrap_future(future), ASK_SECONDS)


def _fetched(fetcher: Any) -> dict[Any, tuple[Any, int]]:
    """Of each partition the fetch that waits to be picked up, and the offset that it goes on from.

    On the way the parser is told to leave its records alone: topic and sizes of each cost 0.7 µs more.
    """
    fetched = {}
    for tp, result in fetcher._records.items():  # noqa: SLF001  # as above
        parsed = getattr(result, "_partition_records", None)  # an error may stand there, or what is used up
        if parsed is not None:
            parsed._consumer_record = _as_parsed  # noqa: SLF001  # the only place where it can be told
            fetched[tp] = parsed, int(parsed.next_fetch_offset)
    return fetched


def _as_parsed(_tp: TopicPartition, record: Any) -> Any:
    """A record with offset, timestamp, timestamp_type, key, value and headers."""
    return record


class BatchConsumer(driver.Consumer):
    """See the module."""

    _thread: BatchConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _Forgetful(lambda: None)

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109  # Faust's signature
        """Yield one message for each chunk of a partition, or more if it is large.

        What is dropped on the way is missed by its task, which asks for it again: the next chunk starts behind it.
        """
        generation = self.app.consumer_generation_id
        chunks: Any
        chunks, active = await self._wait_next_records(timeout)
        if chunks is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        for tp, chunk in chunks.items():
            start = chunk.start
            for piece in pieces(chunk.records):
                # Either may have changed while a message waited for a place in the stream.
                moved_on = self.app.consumer_generation_id != generation
                stale = moved_on or not self.flow_active
                if stale or (active is not None and tp not in active and tp not in self._buffered_partitions):
                    break
                batch = Batch(tp, start, piece)
                start = batch.next
                if piece[-1] is chunk.records[-1]:
                    self._thread.passed[tp] = start
                yield tp, _message(tp, batch, generation)

    async def _seek(self, partition: TP, offset: int) -> None:
        async def seek(consumer: Any) -> None:
            consumer.seek(partition, offset)
            self._thread.passed[partition] = offset

        await self._thread.in_loop(seek)

    async def beginning(self, tp: TP) -> int:
        """The first offset that the broker still has. Raises KafkaError or TimeoutError."""
        first = await self._thread.in_loop(lambda consumer: consumer.beginning_offsets([tp]))
        return int(first[tp])

    async def perform_seek(self) -> None:
        """Seek to what is committed."""
        self._thread.forget()
        await super().perform_seek()

    async def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit those of our partitions to the group. Raises KafkaError, where Faust's own way crashes the app."""
        ours = {(tp.topic, tp.partition) for tp in self.assignment()}
        consumer = self._thread._ensure_consumer()  # noqa: SLF001  # Faust has no public way to its aiokafka consumer
        due = {tp: offset for tp, offset in offsets.items() if (tp.topic, tp.partition) in ours}
        if due:
            await self._thread.call_thread(consumer.commit, due)

    def remaining(self, tp: TP, position: int) -> int | None:
        """Records from ``position`` to the end of what may be read, None if not known.

        Transaction markers are no records: once all that was picked up has been taken, the fetcher's position
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
        reached = int(state.position) if state.has_valid_position else 0  # first: the thread may pick something up
        if self._thread.passed.get(tp, position) == position:
            position = max(position, reached)
        return max(0, end - position)

    def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has, as far as the consumer knows; 0 if it does not yet."""
        cluster = self._thread._ensure_consumer()._client.cluster  # noqa: SLF001  # as above
        return len(cluster.partitions_for_topic(topic) or ())

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Forget positions of an earlier assignment."""
        self._thread.forget()
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
