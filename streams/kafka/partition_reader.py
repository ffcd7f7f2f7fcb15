"""Reads a range of offsets of one partition: of a state topic, or of the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import TopicPartition

from streams import metrics
from streams.clock import Clock
from streams.kafka.clients import aiokafka_options
from streams.settings.settings import Settings

log = structlog.get_logger()

READ_TIMEOUT_MS = 1000
FETCH_TURNS_MAX = 30
"""Fetches of READ_TIMEOUT_MS that may get no answer before the end of a partition counts as unknown."""
LOG_EVERY_SECONDS = 5.0


class StateReader:
    """Reads committed records of single partitions, without a consumer group."""

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.last_read = 0.0
        """monotonic seconds at which a restore last read records; the watchdog uses it"""

    async def read(
        self, topic: str, partition: int, *, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[tuple[bytes | None, bytes | None]]:
        """Yield (key, value) of all committed records from ``start`` (default: first) to ``end`` (default: last).

        Raises KafkaError.
        """
        async for record in self.records(topic, partition, start=start, end=end):
            yield record.key, record.value

    async def beginning(self, topic: str, partition: int) -> int:
        """The first offset that a partition still has. Raises KafkaError."""
        return (await self._bounds(topic, partition))[0]

    async def _bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """First offset, and the end, including the records of open transactions.

        The end of the *committed* records is before the first record of any open transaction. In a partition that
        several tasks write to, it can be before a record of this task that was committed long ago.
        Brokers without transactions are asked twice: the end that the embedded one gives first is in the last batch.
        """
        consumer = AIOKafkaConsumer(enable_auto_commit=False, **aiokafka_options(self._settings.broker))
        await consumer.start()
        tp = TopicPartition(topic, partition)
        try:
            first, end = int((await consumer.beginning_offsets([tp]))[tp]), int((await consumer.end_offsets([tp]))[tp])
            if first < end and self._settings.processing == "at_least_once":
                end = max(end, await end_of_last_batch(consumer, tp, end))
            return first, end
        finally:
            await consumer.stop()

    async def records(
        self, topic: str, partition: int, *, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[Any]:
        """As ``read``, but yields whole records. It waits for transactions that are open before the end."""
        first, last = await self._bounds(topic, partition)
        end = last if end is None else min(end, last)
        start = first if start is None else max(first, start)
        if start >= end:
            return
        consumer = AIOKafkaConsumer(
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 * 1024 * 1024,
            **aiokafka_options(self._settings.broker),
        )
        await consumer.start()
        progress = _Progress(topic, partition, start, end, self._clock)
        tp = TopicPartition(topic, partition)
        try:
            consumer.assign([tp])
            consumer.seek(tp, start)
            while (position := await consumer.position(tp)) < end:
                progress.reached(position)
                chunk = (await consumer.getmany(tp, timeout_ms=READ_TIMEOUT_MS, max_records=5000)).get(tp, ())
                for record in chunk:
                    if record.offset >= end:
                        return
                    yield record
                metrics.RESTORED.inc(len(chunk))
                if chunk:
                    self.last_read = self._clock.monotonic()
        finally:
            progress.ended()
            await consumer.stop()


async def end_of_last_batch(consumer: AIOKafkaConsumer, tp: TopicPartition, end: int) -> int:
    """The end of a partition by the answer to a fetch. ``end`` is in the last batch, or behind it.

    Raises KafkaTimeoutError if no fetch is answered within FETCH_TURNS_MAX seconds.
    """
    consumer.assign([tp])
    consumer.seek(tp, end - 1)
    for _ in range(FETCH_TURNS_MAX):
        await consumer.getmany(tp, timeout_ms=READ_TIMEOUT_MS, max_records=1)
        fetched = consumer.highwater(tp)
        if fetched is not None:
            return int(fetched)
    raise KafkaTimeoutError(f"{tp.topic}/{tp.partition}: the broker answered no fetch for {FETCH_TURNS_MAX} s")


class _Progress:
    """Shows the progress of one read: in the log at intervals, and in a metric over all running reads."""

    def __init__(self, topic: str, partition: int, start: int, end: int, clock: Clock) -> None:
        self._clock = clock
        self._topic, self._partition = topic, partition
        self._start, self._end = start, end
        self._exported = end - start
        self._logged_at = self._clock.monotonic()
        metrics.RESTORING.inc(self._exported)

    def reached(self, position: int) -> None:
        """Note that everything below ``position`` has been read."""
        self._show(max(0, self._end - position))
        if self._clock.monotonic() - self._logged_at >= LOG_EVERY_SECONDS:
            self._logged_at = self._clock.monotonic()
            done = position - self._start
            log.info("restoring", topic=self._topic, partition=self._partition, read=done, of=self._end - self._start)

    def ended(self) -> None:
        """Note that the read has ended, completely or not."""
        self._show(0)

    def _show(self, left: int) -> None:
        metrics.RESTORING.inc(left - self._exported)
        self._exported = left
