"""A Flink DataStream job that counts the topic of the benchmark, in one JVM with one task slot.

Per target and ten seconds of event time: count, distinct actors, share of new accounts, watch-time histogram. RocksDB
state, checkpoints every five seconds, a transactional Kafka sink. docs/decisions/0039-flink-as-a-peer.md says how it is
tuned and measured, and what it does not do.

``python -m bench.flink.job SERVERS TOPIC EVENTS DIRECTORY DEADLINE_SECONDS`` prints its passes as JSON.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from bench.events import CLOSING_TARGET
from bench.flink.building import flink_classpath
from bench.measured import Measured, PartError
from bench.topic import PARTITIONS

OUTPUTS = ("flink-counts-1", "flink-counts-2", "flink-counts-3", "flink-counts-4")
"""Four passes. The JVM compiles during the first three: the CPU time of later ones does not fall any more."""
JVM = (
    # One slot on one core: the serial collector needs less CPU time than G1.
    *("-Xms1g", "-Xmx1g", "-XX:+UseSerialGC"),
    *("--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED"),
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
READ_SECONDS = 60.0
SHOWN_SECONDS = 15.0
ERROR_LINES = 40


def measure(
    servers: str, topic: str, events: int, directory: Path, *, deadline_seconds: float, outputs: Sequence[str] = OUTPUTS
) -> list[Measured]:
    """Measure one pass for each output topic, from its first event to its last committed output.

    ``deadline_seconds`` is that of one pass. The output topics must not exist. Raises PartError if a pass does not end,
    or if the sum of its counts is not ``events``.
    """
    classpath = flink_classpath()
    passes = len(outputs)
    _create(servers, outputs)
    directory.mkdir(parents=True, exist_ok=True)
    arguments = [servers, topic, str(events), str(directory), str(round(deadline_seconds)), *outputs]
    command = ["java", *JVM, f"-Djava.io.tmpdir={directory}", "-cp", classpath, "truecount.bench.Job", *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=passes * deadline_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PartError(f"the Flink job was not done within {passes * deadline_seconds:.0f} s") from None
    if done.returncode != 0:
        errors = "\n".join(done.stderr.splitlines()[-ERROR_LINES:])
        raise PartError(f"the Flink job ended with code {done.returncode}\n{errors}")
    for output in outputs:
        counted = _counted(servers, output, events)
        if counted != events:
            raise PartError(f"Flink's counts in {output} have {counted:,} events, but {events:,} were sent")
    return [msgspec.json.decode(line, type=Measured) for line in done.stdout.splitlines()]


def _counted(servers: str, topic: str, events: int) -> int:
    """Sum of the committed counts. A broker shows a committed transaction a moment after it confirmed the commit."""
    deadline = time.monotonic() + SHOWN_SECONDS
    while True:
        counted = sum(summary.count for summary in summaries(servers, topic))
        if counted >= events or time.monotonic() > deadline:
            return counted
        time.sleep(0.5)


class Summary(msgspec.Struct):
    """One window of one target, as the job publishes it."""

    target: str
    start: int
    """epoch ms"""
    count: int
    actors: int
    new_share: float | None
    """None if no event of the window says how old the account is"""
    watch: list[int]
    """events by powers of two of seconds"""


def summaries(servers: str, topic: str) -> list[Summary]:
    """All committed windows but those of the events that only advance time. Raises PartError."""
    try:
        found = asyncio.run(asyncio.wait_for(_read(servers, topic), READ_SECONDS))
    except TimeoutError:
        raise PartError(f"Flink's counts were not read within {READ_SECONDS:.0f} s") from None
    return [summary for summary in found if summary.target != CLOSING_TARGET]


async def _read(servers: str, topic: str) -> list[Summary]:
    decode = msgspec.json.Decoder(Summary).decode
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        parts = [TopicPartition(topic, p) for p in range(PARTITIONS)]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        found = []
        for part in parts:
            while await consumer.position(part) < ends[part]:
                records = (await consumer.getmany(part, timeout_ms=500)).get(part, ())
                found += [decode(record.value) for record in records]
        return found
    finally:
        await consumer.stop()


def _create(servers: str, topics: Sequence[str]) -> None:
    # Flink gives records the time of their window. The events of the bench are older than the default retention, by
    # which the broker would delete outputs before they are summed.
    keep = {"retention.ms": "-1"}
    wanted = [NewTopic(name, num_partitions=PARTITIONS, replication_factor=1, topic_configs=keep) for name in topics]
    client = KafkaAdminClient(bootstrap_servers=servers)
    try:
        client.create_topics(wanted)
    finally:
        client.close()


if __name__ == "__main__":
    servers, topic, events, directory, deadline = sys.argv[1:]
    passes = measure(servers, topic, int(events), Path(directory), deadline_seconds=float(deadline))
    print(msgspec.json.encode(passes).decode())
