"""The input topic of the benchmark: created and filled once for all parts."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from bench.events import Traffic

TOPIC = "bench-views"
PARTITIONS = 4
BATCH_BYTES = 64 * 1024
"""Size of a producer's batch: some hundred events, as from a busy producer."""
FILL_SECONDS = 300.0


def fill(servers: str, traffic: Traffic, closing_ts_ms: int) -> None:
    """Send all events, round robin, then one event to each partition that advances time to ``closing_ts_ms``."""
    client = KafkaAdminClient(bootstrap_servers=servers)
    try:
        client.create_topics([NewTopic(name=TOPIC, num_partitions=PARTITIONS, replication_factor=1)])
    finally:
        client.close()
    asyncio.run(asyncio.wait_for(_send(servers, traffic, closing_ts_ms), FILL_SECONDS))


async def _send(servers: str, traffic: Traffic, closing_ts_ms: int) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, acks="all", compression_type="lz4", max_batch_size=BATCH_BYTES
    )
    await producer.start()
    try:
        for chunk in traffic.chunks():
            await _send_chunk(producer, [chunk[p::PARTITIONS] for p in range(PARTITIONS)])
        await _send_chunk(producer, [[traffic.closing(closing_ts_ms)]] * PARTITIONS)
    finally:
        await producer.stop()


async def _send_chunk(producer: AIOKafkaProducer, by_partition: list[list[bytes]]) -> None:
    sent = []
    for partition, values in enumerate(by_partition):
        batch = producer.create_batch()
        for value in values:
            if not _append(batch, value):
                sent.append(await producer.send_batch(batch, TOPIC, partition=partition))
                batch = producer.create_batch()
                _append(batch, value)
        sent.append(await producer.send_batch(batch, TOPIC, partition=partition))
    await asyncio.gather(*sent)


def _append(batch: BatchBuilder, value: bytes) -> bool:
    """Append a value to a batch; False if the batch is full."""
    return batch.append(key=None, value=value, timestamp=None) is not None
