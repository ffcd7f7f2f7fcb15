"""Reading a state topic's partition, or a stretch of the log, from one offset to an end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from streams import metrics
from streams.clients import aiokafka_options
from streams.settings import Settings

log = structlog.get_logger()

READ_TIMEOUT_MS = 1000
LOG_EVERY_RECORDS = 200_000


class StateReader:
    """Reads committed records of single partitions; knows no group."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def read(
        self, topic: str, partition: int, *, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[tuple[bytes | None, bytes | None]]:
        """Yield (key, value) of all committed records from ``start`` (the beginning) to ``end`` (now).

        Raises KafkaError.
        """
        async for record in self.records(topic, partition, start=start, end=end):
            yield record.key, record.value

    async def beginning(self, topic: str, partition: int) -> int:
        """The first offset that a partition still has. Raises KafkaError."""
        consumer = AIOKafkaConsumer(enable_auto_commit=False, **aiokafka_options(self._settings.broker))
        await consumer.start()
        tp = TopicPartition(topic, partition)
        try:
            return int((await consumer.beginning_offsets([tp]))[tp])
        finally:
            await consumer.stop()

    async def records(
        self, topic: str, partition: int, *, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[Any]:
        """As ``read``, the records themselves."""
        consumer = AIOKafkaConsumer(
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 * 1024 * 1024,
            **aiokafka_options(self._settings.broker),
        )
        await consumer.start()
        tp = TopicPartition(topic, partition)
        try:
            consumer.assign([tp])
            last = (await consumer.end_offsets([tp]))[tp]
            end = last if end is None else min(end, last)
            first = (await consumer.beginning_offsets([tp]))[tp]
            start = first if start is None else max(first, start)
            if start >= end:
                return
            consumer.seek(tp, start)
            read = 0
            while await consumer.position(tp) < end:
                chunk = await consumer.getmany(tp, timeout_ms=READ_TIMEOUT_MS, max_records=5000)
                for record in chunk.get(tp, ()):
                    if record.offset >= end:
                        return
                    yield record
                    read += 1
                    if read % LOG_EVERY_RECORDS == 0:
                        log.info("restoring", topic=topic, partition=partition, read=read, of=end - start)
                metrics.RESTORED.inc(len(chunk.get(tp, ())))
        finally:
            await consumer.stop()
