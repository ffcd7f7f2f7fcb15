"""What a restore and the commands read of a partition: each record up to the end, however records were batched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from aiokafka import AIOKafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from bench.testbed.brokers import BrokerAddress
from streams.clock import SystemClock
from streams.kafka.partition_reader import StateReader
from streams.kafka.reader import Reader
from streams.settings.broker import Broker
from streams.settings.settings import Settings

BATCHES = [[1], [3], [1, 3], [2, 2, 5], [700, 2], [1, 6_000]]


async def written(address: BrokerAddress, topic: str, batches: Sequence[int]) -> int:
    """Write batches of these sizes to a new topic; the values are the offsets. Returns the end."""
    admin = KafkaAdminClient(bootstrap_servers=address.servers)
    admin.create_topics([NewTopic(topic, 1, 1)])
    admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=address.servers, max_batch_size=1 << 20)
    await producer.start()
    offset = 0
    try:
        for size in batches:
            batch = producer.create_batch()
            for number in range(offset, offset + size):
                batch.append(key=b"last", value=b"%d" % number, timestamp=1)
            await (await producer.send_batch(batch, topic, partition=0))
            offset += size
    finally:
        await producer.stop()
    return offset


@pytest.fixture
def settings(broker: BrokerAddress) -> Settings:
    connection = Broker(servers=broker.servers)
    return Settings(broker=connection, processing="exactly_once" if broker.transactions else "at_least_once")


@pytest.mark.parametrize("batches", BATCHES, ids=str)
def test_a_restore_reads_a_partition_to_its_end(
    broker: BrokerAddress, settings: Settings, unique: Callable[[str], str], batches: list[int]
) -> None:
    topic = unique("read")
    end = asyncio.run(written(broker, topic, batches))
    reader = StateReader(settings, clock=SystemClock())

    async def read(start: int | None = None, stop: int | None = None) -> list[int]:
        return [record.offset async for record in reader.records(topic, 0, start=start, end=stop)]

    assert asyncio.run(read()) == list(range(end))
    for start in {0, end // 2, end - 1}:
        for stop in {end - 1, end, end + 9}:
            assert asyncio.run(read(start, stop)) == list(range(start, min(stop, end)))
    assert asyncio.run(read(end, end + 1)) == []


@pytest.mark.parametrize("batches", BATCHES, ids=str)
def test_the_commands_read_a_partition_to_its_end(
    broker: BrokerAddress, settings: Settings, unique: Callable[[str], str], batches: list[int]
) -> None:
    topic = unique("read")
    end = asyncio.run(written(broker, topic, batches))
    reader = Reader(settings, topic)
    try:
        assert [record.offset for record in reader.to_end()] == list(range(end))
        assert reader.newest(b"last")[0].offset == end - 1
        assert reader.last(2)[-1].offset == end - 1
    finally:
        reader.close()
