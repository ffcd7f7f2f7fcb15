"""Upper limit of a Python consumer: aiokafka's ``getmany`` and a decoder, nothing else.

``python -m bench.ceiling SERVERS RECORDS``
"""

from __future__ import annotations

import asyncio
import sys
import time

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from bench.measured import Measured, print_result
from bench.topic import PARTITIONS, TOPIC
from detectors.events.event import Event

POLL_RECORDS = 20_000
FETCH_BYTES = 2 * 1024 * 1024
"""Both as in the worker."""


async def measure(servers: str, records: int) -> Measured:
    """Read and decode all records, and measure from the start of fetching to the last event."""
    decode_lines = msgspec.json.Decoder(Event).decode_lines
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    try:
        began, cpu, decoded = time.perf_counter(), time.process_time(), 0
        consumer.assign([TopicPartition(TOPIC, p) for p in range(PARTITIONS)])
        while decoded < records:
            chunks = await consumer.getmany(timeout_ms=1000, max_records=POLL_RECORDS)
            for chunk in chunks.values():
                decoded += len(decode_lines(b"\n".join([record.value for record in chunk])))
        return Measured(decoded, time.perf_counter() - began, time.process_time() - cpu)
    finally:
        await consumer.stop()


if __name__ == "__main__":
    print_result(asyncio.run(measure(sys.argv[1], int(sys.argv[2]))))
