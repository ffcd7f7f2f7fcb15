"""A siege: three workers under traffic, what is done to them, and what is compared once all is drained."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from bench.testbed.brokers import KafkaServer, log_tail
from bench.testbed.workers import Installation, Worker, install
from streams.log.hashing import partition_of
from tests.faults.results import PARTITIONS, Report, Results, Sources
from tests.faults.traffic import CLOSING_MINUTES, CLOSING_TARGET, DAY_MS, Traffic, closing
from tests.faults.truth import Published

WORKERS = 3
COUNTS_SECONDS = 600
DEDUPE_IDS = 250_000
"""Copies go to any partition of the input. While workers are killed, sources have been up to 200,000 ids apart."""
DRAIN_SECONDS = 8
"""Within which a worker that is told to stop must be gone."""
DELIVERY_MS = 180_000
"""The traffic's producer outlasts every fault of the broker."""
POLL_SECONDS = 0.5
SETTLEMENT_HOURS = 1
"""Questions about accounts are answered while the traffic goes on."""
ACTORS_TIME = "truecount_actors_event_time_seconds"
LAG = "truecount_lag_records"
CAUGHT_UP_EVERY_MINUTES = 60
"""Minutes of the traffic after which it waits until both logs are read: it goes faster than the clock, and control
records must meet the events that come minutes after them."""
CATCH_UP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The settings of event time."""

    lateness_seconds: int
    idle_seconds: int
    recovery_seconds: int


PRETENDED = Timing(lateness_seconds=60, idle_seconds=3600, recovery_seconds=2)
"""Of traffic that goes faster than the clock. Copies and undos come a little out of order. Time waits for every source,
whatever is done to it: what is late is counted, but judged by no window."""

Disturbance = Callable[["Siege"], Awaitable[None]]


class Siege:
    """An installation with three workers on a Kafka that may be harmed too."""

    def __init__(
        self,
        name: str,
        kafka: KafkaServer,
        directory: Path,
        traffic: Traffic,
        *,
        rate: float,
        processing: str = "exactly_once",
        timing: Timing = PRETENDED,
    ) -> None:
        """``rate``: events a second at most, until the disturbance is over."""
        directory.mkdir(parents=True, exist_ok=True)
        self.kafka = kafka
        self.traffic = traffic
        self.rng = random.Random(traffic.seed)
        self.report = Report(name)
        self.installation: Installation = install(
            kafka.address,
            directory,
            lambda word: f"{word}-{re.sub(r'[^a-z0-9]+', '-', name.lower())}",
            partitions=PARTITIONS,
            tick_seconds=10,
            counts_seconds=COUNTS_SECONDS,
            idle_seconds=timing.idle_seconds,
            lateness_seconds=timing.lateness_seconds,
            recovery_seconds=timing.recovery_seconds,
            dedupe_ids=DEDUPE_IDS,
            processing=processing,
            actors=True,
            settlement_hours=SETTLEMENT_HOURS,
        )
        self._results = Results(self.installation, exact=processing == "exactly_once")
        self.workers: list[Worker] = []
        self.hurry = asyncio.Event()
        """the disturbance is over: traffic need not be paced any more"""
        self.input_partitions = dict.fromkeys(self.installation.inputs.values(), PARTITIONS)
        self._rate = rate
        self._configs = [self._config(slot) for slot in range(WORKERS)]
        self._lives = 0
        self.disks: dict[int, Any] = {}
        """small disks under the state directories of some slots"""

    def _config(self, slot: int) -> Path:
        """Each worker has a directory of its own, as in containers: what it finds there may be old."""
        path = self.installation.directory / f"worker-{slot}.toml"
        text = self.installation.config.read_text()
        path.write_text(
            text.replace('/state"', f'/state-{slot}"').replace("[broker]", f"drain_seconds = {DRAIN_SECONDS}\n[broker]")
        )
        return path

    def state_directory(self, slot: int) -> Path:
        """Where the worker of a slot keeps its copy of the state."""
        return self.installation.directory / f"state-{slot}"

    # ---------------------------------------------------------------- workers

    def start(self, slot: int) -> Worker:
        """Start a slot's worker (anew)."""
        self._lives += 1
        worker = self.installation.start(name=f"worker-{slot}-{self._lives:03}", config=self._configs[slot])
        if slot < len(self.workers):
            self.workers[slot] = worker
        else:
            self.workers.append(worker)
        return worker

    def kill(self, slot: int) -> None:
        """SIGKILL."""
        self.workers[slot].kill()
        self.report.kills += 1

    def series(self, slot: int) -> dict[str, float]:
        """What a slot's worker shows on /metrics; nothing while it does not answer."""
        try:
            return self.workers[slot].metrics()
        except OSError:
            return {}

    def shown(self, slot: int, name: str) -> float:
        """One series of it, 0 if it is not there."""
        return self.series(slot).get(name, 0.0)

    async def until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for a condition. Raises AssertionError if it does not come true in time."""
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(condition):
            logs = "\n".join(log_tail(worker.log) for worker in self.workers)
            assert time.monotonic() < deadline, f"the workers did not {what} in {seconds:.0f} s\n{logs}"
            await asyncio.sleep(POLL_SECONDS)

    async def ready(self, slot: int) -> None:
        """Wait until a slot's worker says that it is ready."""
        await asyncio.to_thread(self.workers[slot].wait_ready)

    # ---------------------------------------------------------------- the course

    async def run(self, disturb: Disturbance, *, drain_seconds: float) -> Report:
        """Traffic and disturbance at the same time; then drain and compare."""
        began = time.monotonic()
        for slot in range(WORKERS):
            self.start(slot)
        try:
            for slot in range(WORKERS):
                await self.ready(slot)
            feeding = asyncio.create_task(self._feed())
            await disturb(self)
            self.hurry.set()
            await feeding
            await self._close_windows()
            for slot, worker in enumerate(self.workers):
                if worker.process.poll() is not None:
                    self.report.problems.append(f"worker {slot} ended by itself with code {worker.process.returncode}")
                    self.start(slot)
            await self._drained(drain_seconds)
            await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in self.workers))
        finally:
            for worker in self.workers:
                worker.kill()
            for disk in self.disks.values():
                disk.remove()
        tally, sources = await self._results.sources(self.input_partitions)
        await self._results.compare(self.report, tally, sources, self.as_sent(sources))
        self.report.seconds = time.monotonic() - began
        return self.report

    async def _feed(self) -> None:
        producer = self._producer()
        await producer.start()
        try:
            began, sent = time.monotonic(), 0
            for minutes, minute in enumerate(self.traffic.by_minute(), 1):
                by_source: dict[tuple[str, int], list[bytes]] = {}
                for metric, value in minute:
                    topic = self.installation.inputs[metric]
                    place = sent % self.input_partitions[topic]
                    by_source.setdefault((topic, place), []).append(value)
                    sent += 1
                await self._send(producer, by_source)
                if minutes % CAUGHT_UP_EVERY_MINUTES == 0:
                    await self._caught_up()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.hurry.wait(), max(0.0, began + sent / self._rate - time.monotonic()))
            self.report.records = sent
        finally:
            await producer.stop()

    async def _close_windows(self) -> None:
        producer = self._producer()
        await producer.start()
        try:
            for values in closing(self.traffic.end_ms, self._closers()):
                for topic, partitions in self.input_partitions.items():
                    await self._send(producer, {(topic, place): values for place in range(partitions)})
                await self._caught_up()
        finally:
            await producer.stop()

    async def _caught_up(self) -> None:
        """Wait until the workers have read all logs to their ends, or for CATCH_UP_SECONDS if they cannot."""
        deadline, read = time.monotonic() + CATCH_UP_SECONDS, 0
        while read < 2 and time.monotonic() < deadline:  # what was read last may have been answered
            series = [await asyncio.to_thread(self.series, slot) for slot in range(len(self.workers))]
            behind = sum(value for shown in series for name, value in shown.items() if name.startswith(LAG))
            read = read + 1 if behind == 0 and all(series) else 0
            await asyncio.sleep(2 * POLL_SECONDS)

    def _closers(self) -> list[str]:
        """A closing target for each partition of by-target."""
        names = (f"{CLOSING_TARGET}{n}" for n in range(1000))
        found: dict[int, str] = {}
        for name in names:
            found.setdefault(partition_of(name, PARTITIONS), name)
        return [found[place] for place in range(PARTITIONS)]

    def _producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=self.kafka.address.servers,
            enable_idempotence=True,
            max_batch_size=900_000,
            request_timeout_ms=DELIVERY_MS,
            metadata_max_age_ms=1000,  # partitions may be added
        )

    @staticmethod
    async def _send(producer: AIOKafkaProducer, by_source: dict[tuple[str, int], list[bytes]]) -> None:
        now_ms, futures = int(time.time() * 1000), []
        for (topic, place), values in by_source.items():
            batch = producer.create_batch()
            for value in values:
                if batch.append(key=None, value=value, timestamp=now_ms) is None:
                    futures.append(await producer.send_batch(batch, topic, partition=place))
                    batch = producer.create_batch()
                    batch.append(key=None, value=value, timestamp=now_ms)
            futures.append(await producer.send_batch(batch, topic, partition=place))
        for future in futures:
            await future

    async def _drained(self, seconds: float) -> None:
        """Wait until the counts of the closing targets are out, for every metric: all before them are then too."""
        topic = self.installation.topics.audited_counts
        sources = {metric: self.input_partitions[topic] for metric, topic in self.installation.inputs.items()}
        rounds = len(CLOSING_MINUTES) - 1
        waiting = {(name, metric): rounds * sources[metric] for name in self._closers() for metric in sources}
        deadline = time.monotonic() + seconds
        said = Published()
        consumer = await self._results.reader(topic)
        try:
            while waiting and time.monotonic() < deadline:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        said.count(record.value)
                waiting = {
                    key: raw for key, raw in waiting.items() if key not in said.counts or said.counts[key]["raw"] < raw
                }
        finally:
            await consumer.stop()
        if waiting:
            self.report.problems.append(f"not drained after {seconds:.0f} s: {len(waiting)} closing counts are missing")
        await self.until(self._actors_at_end, "take all of by-actor", max(POLL_SECONDS, deadline - time.monotonic()))

    def _actors_at_end(self) -> bool:
        """Whether the event time of all partitions of by-actor is behind the first closing records."""
        series = [pair for slot in range(WORKERS) for pair in self.series(slot).items()]
        times = [1000 * value for name, value in series if name.startswith(ACTORS_TIME)]
        return len(times) == PARTITIONS and min(times) > self.traffic.end_ms + DAY_MS

    def as_sent(self, sources: Sources) -> Sources:
        """The inputs as they would be without a disturbance."""
        return sources
