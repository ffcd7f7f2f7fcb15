"""Faust's transport, delivering each partition's fetched chunk as one message.

A Faust agent costs about 230 µs a message, so it must not get one message an event. Each chunk also says from which position
it was fetched, because that is the only way to tell a lost batch from offsets that transaction markers or
compaction took: Faust may drop messages it has already fetched when a rebalance passes by.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import faust.transport.drivers.aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

MAX_CHUNK_RECORDS = 4000
"""Records a message may carry: large enough to spread Faust's cost, small enough for a quick turn of the loop."""


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
    """Reads only what has been committed, which Faust's own thread cannot be told."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = transport.isolation_level  # noqa: SLF001  # aiokafka reads it at start()
        return consumer


class BatchConsumer(driver.Consumer):
    """See the module."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._next_start: dict[TP, int] = {}

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Yield one message for each chunk of a partition."""
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        for tp, chunk in records.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            if not chunk or (active is not None and tp not in active and tp not in self._buffered_partitions):
                continue
            for at in range(0, len(chunk), MAX_CHUNK_RECORDS):
                piece = chunk[at : at + MAX_CHUNK_RECORDS]
                batch = Batch(TP(tp.topic, tp.partition), self._next_start.get(tp), piece)
                self._next_start[tp] = batch.next
                yield tp, _message(tp, batch, generation)

    async def seek(self, partition: TP, offset: int) -> None:
        """Seek, and remember where the next chunk will have been fetched from."""
        await super().seek(partition, offset)
        self._next_start[partition] = offset

    async def perform_seek(self) -> None:
        """Seek to what is committed; where nothing is, the next chunk's start is unknown."""
        self._next_start.clear()
        await super().perform_seek()
        self._note_positions(self._committed_offset)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Forget positions of an earlier assignment."""
        self._next_start.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    def _note_positions(self, committed: Mapping[TP, int | None]) -> None:
        for tp, offset in committed.items():
            if offset is not None:
                self._next_start[tp] = offset


def _message(tp: TP, batch: Batch, generation: int) -> ConsumerMessage:
    last = batch.records[-1]
    return ConsumerMessage(
        tp.topic,
        tp.partition,
        last.offset,
        last.timestamp / 1000.0 if last.timestamp is not None else 0.0,
        last.timestamp_type,
        (),
        None,
        batch,
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
