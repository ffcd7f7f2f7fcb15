"""Faust's transport, which delivers the fetched records of a partition as one message.

A Faust agent costs about 230 µs a message, so it must not get one message for each event. Each chunk has the position
from which it was fetched. It distinguishes a lost batch from offsets that transaction markers or compaction used up:
Faust may drop fetched messages during a rebalance.

The position is read from the fetcher when the chunk is taken from it. A position that another loop computes, from
delivered messages and seeks, is wrong as soon as two seeks and a fetch overlap.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

import faust.transport.drivers.aiokafka as driver
import structlog
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import TopicPartition
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from streams.kafka.reachability import Needed

log = structlog.get_logger()

MAX_CHUNK_RECORDS = 16_000
"""Most records of a message: with more of them, the frames that ingest makes are fewer and larger."""

MAX_CHUNK_BYTES = 1024 * 1024
"""Most bytes of a message of frames, which have 20,000 events then, and may publish counts several times."""
INPUT_CHUNK_BYTES = 4 * 1024 * 1024
"""Most bytes of a message of an input."""

FETCH_WAIT_MS = 100
"""How long the broker may wait for new records. Faust's default is 1,500.

There is one request to a broker at a time. While it waits for partitions without new records, no records of other
partitions can be fetched.
"""

NO_LEADER = -1
"""aiokafka's node of a partition that no broker leads."""

CALL_SECONDS = 10.0
"""Timeout of a call in the consumer's loop: after this time the loop has ended."""


class Chunk(NamedTuple):
    """Records of one partition that were taken from the fetcher together."""

    start: int
    """the offset from which they were fetched: between it and the first record there is none"""
    records: list[Any]


@dataclass(slots=True)
class Batch:
    """Records of one partition in offset order. Between ``start`` and the first record there is none."""

    tp: TP
    start: int
    records: list[Any]

    @property
    def next(self) -> int:
        """The offset after the last record."""
        return int(self.records[-1].offset) + 1


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, which also reads only committed records and limits the wait of the broker."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.resume_at: dict[TP, int | None] = {}
        """The offset at which delivery goes on: after the last delivered record, or where a seek went. None while
        records that were taken from the fetcher are not delivered yet."""
        self._read: dict[Any, tuple[int, int]] = {}
        """two offsets without a record between them: after the last record, and the fetcher's position at that time"""

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
        """Take what was fetched, as aiokafka's parser made it. Waits for records for ``timeout`` seconds at most.

        The start of each chunk is read just before, without an await, so that no seek can run in between.
        """
        fetcher = consumer._fetcher  # noqa: SLF001  # Faust too takes from its fetcher
        loop = asyncio.get_running_loop()  # ``asyncio.wait`` uses its time
        deadline = loop.time() + (timeout or 0.0)
        while self.consumer.flow_active:
            while fetcher._subscriptions.reassignment_in_progress:  # noqa: SLF001  # fetched_records would wait for it
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
            waiter.result()  # raises the error that ended the fetcher
        return {}

    def _chunks(self, fetched: dict[Any, tuple[Any, int]], picked: Mapping[Any, list[Any]]) -> dict[TP, Chunk]:
        """The chunks of what was taken. A chunk starts earlier than its fetch if earlier fetches ended with markers."""
        chunks = {}
        for tp, (parsed, start) in fetched.items():
            reached = int(parsed.next_fetch_offset)
            if reached == start:
                continue  # nothing was taken of it: another fetch filled the limit, or a seek discarded it
            last_end, reached_then = self._read.get(tp, (start, start))
            since = last_end if reached_then == start else start
            records = picked.get(tp)
            if records:
                chunks[TP(tp.topic, tp.partition)] = Chunk(since, records)
                since = int(records[-1].offset) + 1
            self._read[tp] = since, reached
        self.resume_at.update(dict.fromkeys(chunks))
        return chunks

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        """Log it. Faust's thread would print plain text."""
        log.error("the consumer's thread crashed", problem=msg.format(*fmt), exc_info=sys.exception())

    def forget(self) -> None:
        """Remove all positions, when another assignment begins."""
        self.resume_at.clear()
        self._read.clear()

    async def call_in_loop(self, call: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        """Call the aiokafka consumer in its own loop, where fetched records are taken too.

        Not through the queue of calls to that thread, which could deadlock: a fetch in the queue may wait for a
        rebalance, which waits for the release of a task, which waits for this call. Raises TimeoutError, or what the
        call raises.
        """
        future = asyncio.run_coroutine_threadsafe(call(self._ensure_consumer()), self.thread_loop)
        return await asyncio.wait_for(asyncio.wrap_future(future), CALL_SECONDS)


def _fetched(fetcher: Any) -> dict[Any, tuple[Any, int]]:
    """The fetch of each partition that waits to be taken, and its next offset.

    It also makes the parser return its records unchanged: adding topic and sizes costs 0.7 µs for each record.
    """
    fetched = {}
    for tp, result in fetcher._records.items():  # noqa: SLF001  # as above
        parsed = getattr(result, "_partition_records", None)  # it may also be an error, or an exhausted fetch
        if parsed is not None:
            parsed._consumer_record = _unchanged_record  # noqa: SLF001  # there is no option for it
            fetched[tp] = parsed, int(parsed.next_fetch_offset)
    return fetched


def _unchanged_record(_tp: TopicPartition, record: Any) -> Any:
    """Return the record, with offset, timestamp, timestamp_type, key, value and headers."""
    return record


class BatchConsumer(driver.Consumer):
    """See the module."""

    _thread: BatchConsumerThread
    transport: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _NoReadOffsets(lambda: None)

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109  # Faust's signature
        """Yield one message for each chunk of a partition, or more if it is large.

        If messages are dropped, the task detects a gap, because the next chunk starts after them, and seeks.
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
            most = INPUT_CHUNK_BYTES if tp.topic in self.transport.inputs else MAX_CHUNK_BYTES
            for piece in pieces(chunk.records, most):
                # Both may have changed while a message waited because the stream was full.
                moved_on = self.app.consumer_generation_id != generation
                stale = moved_on or not self.flow_active
                if stale or (active is not None and tp not in active and tp not in self._buffered_partitions):
                    break
                batch = Batch(tp, start, piece)
                start = batch.next
                if piece[-1] is chunk.records[-1]:
                    self._thread.resume_at[tp] = start
                yield tp, _message(tp, batch, generation)

    async def _seek(self, partition: TP, offset: int) -> None:
        async def seek(consumer: Any) -> None:
            consumer.seek(partition, offset)
            self._thread.resume_at[partition] = offset

        await self._thread.call_in_loop(seek)

    async def beginning(self, tp: TP) -> int:
        """The first offset that the broker still has. Raises KafkaError or TimeoutError."""
        first = await self._thread.call_in_loop(lambda consumer: consumer.beginning_offsets([tp]))
        return int(first[tp])

    async def perform_seek(self) -> None:
        """Seek to the committed offsets."""
        self._thread.forget()
        await super().perform_seek()

    async def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the offsets of assigned partitions to the group. Raises KafkaError; Faust's method crashes the app."""
        ours = {(tp.topic, tp.partition) for tp in self.assignment()}
        consumer = self._thread._ensure_consumer()  # noqa: SLF001  # Faust has no public way to its aiokafka consumer
        due = {tp: offset for tp, offset in offsets.items() if (tp.topic, tp.partition) in ours}
        if due:
            await self._thread.call_thread(consumer.commit, due)

    def remaining(self, tp: TP, position: int) -> int | None:
        """The number of records from ``position`` to the end of what may be read; None if not known.

        Transaction markers are no records: once the task has everything that was taken from the fetcher, the fetcher's
        position counts. While a chunk waits here because the stream is full, the fetcher is ahead of the task.
        """
        consumer = self._thread._ensure_consumer()  # noqa: SLF001  # as above
        assignment = consumer._subscription.subscription.assignment  # noqa: SLF001  # the only place that knows
        state = assignment.state_value(TopicPartition(tp.topic, tp.partition))
        end: int | None = state.lso if BatchTransport.isolation_level == "read_committed" else state.highwater
        if end is None or end < 0:
            end = state.highwater
        if end is None:
            return None
        reached = (
            int(state.position) if state.has_valid_position else 0
        )  # read it first: the thread may take records now
        if self._thread.resume_at.get(tp, position) == position:
            position = max(position, reached)
        return max(0, end - position)

    def needed(self) -> Needed:
        """See Brokers. All brokers, while the worker has neither a partition nor a coordinator."""
        consumer = self._thread._ensure_consumer()  # noqa: SLF001  # as above
        cluster = consumer._client.cluster  # noqa: SLF001  # as above
        leaders = {tp: cluster.leader_for_partition(TopicPartition(*tp)) for tp in self.assignment()}
        nodes = {node for node in leaders.values() if node is not None} | {consumer._coordinator.coordinator_id}  # noqa: SLF001  # as above
        brokers = {each.nodeId: f"{each.host}:{each.port}" for each in list(cluster.brokers())}
        leaderless = tuple(sorted(f"{tp.topic}/{tp.partition}" for tp, node in leaders.items() if node == NO_LEADER))
        return Needed({node: brokers[node] for node in brokers.keys() & nodes} or brokers, leaderless)

    def ask(self, node: int) -> Future[Any]:
        """See Brokers. Asks for the list of brokers, over the connection from which records are fetched."""
        client = self._thread._ensure_consumer()._client  # noqa: SLF001  # as above
        return asyncio.run_coroutine_threadsafe(client.send(node, MetadataRequest([])), self._thread.thread_loop)

    def partitions_of(self, topic: str) -> int:
        """The number of partitions of a topic, as far as the consumer knows; 0 if it does not know yet."""
        cluster = self._thread._ensure_consumer()._client.cluster  # noqa: SLF001  # as above
        return len(cluster.partitions_for_topic(topic) or ())

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Remove the positions of an earlier assignment."""
        self._thread.forget()
        await super().on_partitions_assigned(assigned, generation_id)

    async def verify_all_partitions_active(self) -> None:
        """Do nothing. Faust would report a bug of its own every few seconds: it checks its commits, and makes none.

        A task commits its offsets in its transactions, and ``streams/service/health.py`` checks that it does.
        """

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing. Faust would note every batch as a gap, because none is acknowledged, and use ever more memory."""


def pieces(chunk: list[Any], max_bytes: int) -> Iterator[list[Any]]:
    """Split a chunk into messages of at most MAX_CHUNK_RECORDS records and about ``max_bytes`` bytes."""
    for at in range(0, len(chunk), MAX_CHUNK_RECORDS):
        piece = chunk[at : at + MAX_CHUNK_RECORDS]
        size = sum([len(record.value or b"") for record in piece])
        step = max(1, len(piece) * max_bytes // max(size, 1))
        for place in range(0, len(piece), step):
            yield piece[place : place + step]


class _NoReadOffsets(defaultdict[TP, Any]):
    """Replaces Faust's offsets of read messages, and stays empty.

    Faust drops messages below these offsets. A message from before a seek could set them after it, and the records of
    the seek would be dropped. Tasks skip records that they have taken, so the offsets are not needed.
    """

    def __setitem__(self, key: TP, value: Any) -> None:
        """Ignore it."""

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Ignore it."""


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

    inputs: frozenset[str] = frozenset()  # topics of the platform; all others have frames
    Consumer = BatchConsumer
    isolation_level = "read_committed"
