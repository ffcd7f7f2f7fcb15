"""A topic with one event for each of many targets, and a worker that audits it."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from bench.events import FIRST_TS_MS
from bench.measured import ROOT, PartError
from bench.testbed.brokers import KafkaServer, free_port, kafka_jars, log_tail
from bench.topic import BATCH_BYTES
from bench.worker import ANSWER_SECONDS, POLL_SECONDS, total
from streams.kafka.topics import Topics, create
from streams.roles import plan
from streams.settings.settings import Settings, load

PARTITIONS = 4
RATE = 20_000
"""Events per second of event time."""
CHUNK = 20_000
PEOPLE = 400_000
ACTORS_BYTES = 256 << 20
EVENT = (
    b'{"id":"view-%010d","ts":%d,"actor":"u%09d","target":"%s","ip":"10.%d.%d.7",'
    b'"user_agent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/139.0","watch_ms":%d,"country":"DE"}'
)
CLOSING_TARGET = "closing"
STEP_MS = 5_000
"""Steps of event time after the last event, so that ticks close one after the other."""

CONFIG = """\
app = "{app}"
prefix = "{app}."
processing = "exactly_once"
[broker]
servers = "{servers}"
[state]
directory = "{directory}/state"
memory_bytes = {memory_bytes}
[actors]
memory_bytes = {actors_bytes}
[[inputs]]
topic = "{app}-views"
metric = "view"
"""


class _Count(msgspec.Struct):
    target: str
    raw: int


@dataclass(frozen=True, slots=True)
class WorkerSample:
    """One reading of a worker: time since the start, resident memory, metrics page."""

    seconds: float
    rss_bytes: int
    page: str


class Population:
    """An installation whose input has ``targets`` targets with random ids, and one event each.

    Each event is by one of ``people``. ``actors_bytes`` is the budget of the role actors.
    """

    def __init__(
        self,
        servers: str,
        directory: Path,
        *,
        targets: int,
        memory_bytes: int,
        seed: int,
        people: int = PEOPLE,
        actors_bytes: int = ACTORS_BYTES,
    ) -> None:
        self.app = f"bench-{targets}"
        self.targets = targets
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.config = directory / "truecount.toml"
        self.config.write_text(
            CONFIG.format(
                app=self.app,
                servers=servers,
                directory=directory,
                memory_bytes=memory_bytes,
                actors_bytes=actors_bytes,
            )
        )
        self.settings: Settings = load(self.config, environ={})
        self._servers = servers
        self._seed = seed
        self._people = people
        self._port = free_port()
        self.log = directory / "worker.log"

    # ---------------------------------------------------------------- input

    def fill(self) -> None:
        """Create the topics, send all events, and then advance event time until their counts are published."""
        self.make_topics()
        asyncio.run(self._send())

    def make_topics(self) -> None:
        """Create the input topic and truecount's own topics."""
        client = KafkaAdminClient(bootstrap_servers=self._servers)
        try:
            client.create_topics([NewTopic(self.settings.inputs[0].topic, PARTITIONS, 1)])
        finally:
            client.close()
        create(self.settings, plan(self.settings, inputs=False))

    async def _send(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers, acks="all", compression_type="lz4", max_batch_size=BATCH_BYTES
        )
        await producer.start()
        topic = self.settings.inputs[0].topic
        try:
            for values in chain(self.events(), self._closing()):
                sent = []
                for partition in range(PARTITIONS):
                    batch = producer.create_batch()
                    for value in values[partition::PARTITIONS]:
                        if batch.append(key=None, value=value, timestamp=None) is None:
                            sent.append(await producer.send_batch(batch, topic, partition=partition))
                            batch = producer.create_batch()
                            batch.append(key=None, value=value, timestamp=None)
                    sent.append(await producer.send_batch(batch, topic, partition=partition))
                await asyncio.gather(*sent)
        finally:
            await producer.stop()

    @property
    def last_ts_ms(self) -> int:
        """The time of the last event."""
        return FIRST_TS_MS + self.targets * 1000 // RATE

    def events(self) -> Iterator[list[bytes]]:
        """The events in order of time."""
        rng = random.Random(self._seed)  # noqa: S311  # a seed is the point
        for first in range(0, self.targets, CHUNK):
            yield [
                EVENT
                % (
                    place,
                    FIRST_TS_MS + place * 1000 // RATE,
                    rng.randrange(self._people),
                    b"%016x" % rng.getrandbits(64),
                    place % 250,
                    place // 250 % 250,
                    rng.randrange(1_000, 900_000),
                )
                for place in range(first, min(first + CHUNK, self.targets))
            ]

    def _closing(self) -> Iterator[list[bytes]]:
        """Events that only advance event time, until the last counts are published."""
        times = self.settings.time
        margin_ms = round((times.lateness_seconds + times.tick_seconds + times.counts_seconds + 1) * 1000)
        last = self.last_ts_ms
        for ts in range(last + STEP_MS, last + margin_ms + STEP_MS, STEP_MS):
            yield [b'{"ts":%d,"actor":"clock","target":"%b"}' % (ts, CLOSING_TARGET.encode())] * PARTITIONS

    # ---------------------------------------------------------------- worker

    def counts_published(self, page: str) -> bool:
        """Whether event time of all partitions is past the time at which the last counts are published."""
        times = self.settings.time
        last_s = self.last_ts_ms / 1000
        reached = [
            float(line.rpartition(" ")[2])
            for line in page.splitlines()
            if line.startswith("truecount_event_time_seconds{")
        ]
        moment = last_s + times.tick_seconds + times.counts_seconds
        return len(reached) == self.settings.partitions and min(reached) >= moment

    def start(self) -> subprocess.Popen[bytes]:
        """Start a worker with all roles."""
        command = [sys.executable, "-m", "streams.cli", "worker", "--config", str(self.config)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*command, "--port", str(self._port)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def watch(
        self, process: subprocess.Popen[bytes], done: Callable[[str], bool], deadline_seconds: float
    ) -> Iterator[WorkerSample]:
        """Sample a worker until ``done`` is true of its metrics. Raises PartError if it ends or the deadline passes."""
        began = time.monotonic()
        page = ""
        while True:
            with suppress(OSError, HTTPException):
                page = self._metrics()
            yield WorkerSample(time.monotonic() - began, rss_bytes(process.pid), page)
            if page and done(page):
                return
            if process.poll() is not None:
                raise PartError(f"the worker ended with code {process.returncode}\n{log_tail(self.log)}")
            if time.monotonic() - began > deadline_seconds:
                raise PartError(f"not done within {deadline_seconds:.0f} s\n{log_tail(self.log)}")
            time.sleep(POLL_SECONDS)

    @staticmethod
    def stop(process: subprocess.Popen[bytes], seconds: float = 120.0) -> None:
        """Stop a worker in order, with a last checkpoint; kill it after ``seconds``."""
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def forget_disk(self) -> None:
        """Remove the state directory."""
        shutil.rmtree(self.directory / "state")

    def _metrics(self) -> str:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    # ---------------------------------------------------------------- result

    def counted(self) -> tuple[int, int]:
        """Number of targets and sum of their raw counts in audited-counts, read committed."""
        return asyncio.run(self._counted())

    async def _counted(self) -> tuple[int, int]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers, enable_auto_commit=False, isolation_level="read_committed"
        )
        await consumer.start()
        decoder = msgspec.json.Decoder(_Count)
        targets = raw = 0
        try:
            topic = Topics.of(self.settings).audited_counts
            parts = [TopicPartition(topic, p) for p in range(self.settings.partitions)]
            consumer.assign(parts)
            await consumer.seek_to_beginning(*parts)
            ends = await consumer.end_offsets(parts)
            for part in parts:
                latest: dict[str, int] = {}
                while await consumer.position(part) < ends[part]:
                    for record in (await consumer.getmany(part, timeout_ms=500)).get(part, ()):
                        count = decoder.decode(record.value)
                        latest[count.target] = count.raw
                latest.pop(CLOSING_TARGET, None)
                targets += len(latest)
                raw += sum(latest.values())
        finally:
            await consumer.stop()
        return targets, raw


def rss_bytes(pid: int) -> int:
    """Resident memory of a process; 0 without /proc or without such a process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def restored(tasks: int) -> Callable[[str], bool]:
    """A condition on a metrics page: whether so many tasks of targets are open."""
    return lambda page: total(page, 'truecount_tasks{role="targets"}') >= tasks


def print_measured(measure: Callable[[str, Path], dict[str, Any]]) -> None:
    """Start a Kafka, call ``measure(servers, directory)``, and print the figures as a line of JSON."""
    with tempfile.TemporaryDirectory(prefix="truecount-bench-") as scratch:
        kafka = KafkaServer(Path(scratch) / "kafka", kafka_jars())
        kafka.start()
        try:
            figures = measure(kafka.address.servers, Path(scratch) / "measured")
        finally:
            kafka.stop()
    print(msgspec.json.encode(figures).decode())
