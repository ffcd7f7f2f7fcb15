"""Worker processes for tests and the benchmark: an installation of truecount on a broker, and its workers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from bench.testbed.brokers import BrokerAddress, free_port, log_tail
from streams.kafka.clients import kafka_python_options
from streams.kafka.topics import Topics, create
from streams.roles import plan
from streams.settings.broker import Broker
from streams.settings.settings import Settings, load

READY_SECONDS = 60
STOP_SECONDS = 30
DRAIN_SECONDS = 60
ROOT = Path(__file__).parents[2]
CLI = [sys.executable, "-m", "streams.cli"]

CONFIG = """\
app = "{app}"
prefix = "{prefix}"
partitions = {partitions}
processing = "{processing}"
checkpoint_seconds = 1

[broker]
servers = "{servers}"
session_timeout_seconds = 6
{broker_lines}

[time]
tick_seconds = {tick_seconds}
lateness_seconds = {lateness_seconds}
idle_seconds = {idle_seconds}
recovery_seconds = {recovery_seconds}
counts_seconds = {counts_seconds}

[state]
directory = "{directory}/state"
dedupe_ids = {dedupe_ids}

[actors]
enabled = {actors}
state_seconds = 2
settlement_hours = {settlement_hours}

{inputs}
"""


@dataclass
class Installation:
    """Truecount with topics of its own, on a broker that is shared with other tests."""

    broker: BrokerAddress
    directory: Path
    inputs: dict[str, str]
    """metric → topic"""
    config: Path
    settings: Settings
    workers: list[Worker] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    """additional environment variables of its workers"""
    module: str = "streams.cli"
    """the command-line module that its workers run"""
    client: Broker | None = None
    """connection of what reads and writes here; that of the workers if it is None"""

    @property
    def _options(self) -> dict[str, Any]:
        return kafka_python_options(self.client or self.settings.broker)

    @property
    def topics(self) -> Topics:
        """The names of its own topics."""
        return Topics.of(self.settings)

    def make_topics(self) -> None:
        """Create all topics, inputs included."""
        settings = self.settings.model_copy(update={"broker": self.client or self.settings.broker})
        create(settings, plan(settings, inputs=True))

    @contextlib.contextmanager
    def worker(self, *options: str, name: str = "worker") -> Iterator[Worker]:
        """A ready worker, stopped at the end if it still runs."""
        worker = self.start(*options, name=name)
        try:
            worker.wait_ready()
            yield worker
        finally:
            worker.stop()

    def start(self, *options: str, name: str = "worker", config: Path | None = None) -> Worker:
        """Start a worker without waiting until it is ready; ``config`` replaces the installation's configuration."""
        worker = Worker(self, name, options, config)
        self.workers.append(worker)
        return worker

    def send(self, topic: str, values: Iterable[Sent], *, codec: str | None = None) -> None:
        """Send records to the partitions in turn; returns when all are delivered."""
        producer = KafkaProducer(
            **self._options,
            acks="all",
            enable_idempotence=False,
            compression_type=codec,
            linger_ms=5,
            max_request_size=8_000_000,
        )
        try:
            partitions = sorted(producer.partitions_for(topic))
            futures = []
            for number, sent in enumerate(values):
                value, headers = sent if isinstance(sent, tuple) else (sent, [])
                place = partitions[number % len(partitions)]
                key = b"none" if value is None else None  # the producer rejects a record without key and value
                futures.append(producer.send(topic, value, key=key, partition=place, headers=headers))
            producer.flush(timeout=30)
            for future in futures:
                future.get(timeout=1)
        finally:
            producer.close()

    def records(self, topic: str) -> list[Any]:
        """All committed records of a topic."""
        with self._consumer() as consumer:
            parts = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))]
            consumer.assign(parts)
            consumer.seek_to_beginning(*parts)
            ends = consumer.end_offsets(parts)
            got: list[Any] = []
            for _ in range(2):
                while any(consumer.position(tp) < end for tp, end in ends.items()):
                    for records in consumer.poll(timeout_ms=200).values():
                        got += records
                if self.broker.transactions:
                    break
                # The end that the embedded broker gives is in the last batch. Fetches have the right one.
                ends = {tp: max(end, consumer.highwater(tp) or 0) for tp, end in ends.items()}
            return got

    def counts(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The latest audited counts by target and metric."""
        latest: dict[tuple[str, str], dict[str, Any]] = {}
        for record in self.records(self.topics.audited_counts):
            count = orjson.loads(record.value)
            key = count["target"], count["metric"]
            if key not in latest or count["as_of"] >= latest[key]["as_of"]:
                latest[key] = count
        return latest

    def raw(self) -> int:
        """Sum of raw over all counts."""
        return _raw(self.counts())

    def wait_drained(self, events: int, *, seconds: float = DRAIN_SECONDS) -> dict[tuple[str, str], dict[str, Any]]:
        """Wait until the counts have ``events`` events, and return them.

        Fails if they have more, or if nothing was counted for ``seconds``: a busy machine may be slow, but not still.
        """
        counts = self.counts()
        raw, moved_at = _raw(counts), time.monotonic()
        while raw < events and time.monotonic() - moved_at < seconds:
            time.sleep(0.5)
            counts = self.counts()
            if _raw(counts) != raw:
                raw, moved_at = _raw(counts), time.monotonic()
        logs = "\n".join(log_tail(worker.log) for worker in self.workers)
        assert raw == events, f"raw is {raw:,}, for {seconds:.0f} s, where {events:,} events were sent\n{logs}"
        for count in counts.values():
            parts = count["valid"] + count["quarantined"] + sum(count["invalid"].values())
            assert parts == count["raw"], count
        return counts

    @contextlib.contextmanager
    def _consumer(self) -> Iterator[Any]:
        consumer = KafkaConsumer(
            **self._options,
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        try:
            yield consumer
        finally:
            consumer.close()


def _raw(counts: dict[tuple[str, str], dict[str, Any]]) -> int:
    return sum(count["raw"] for count in counts.values())


Sent = bytes | None | tuple[bytes | None, list[tuple[str, bytes]]]
"""A value, or a value with headers."""


class Worker:
    """One ``truecount worker`` process."""

    def __init__(
        self, installation: Installation, name: str, options: Iterable[str], config: Path | None = None
    ) -> None:
        self.port = free_port()
        self.log = installation.directory / f"{name}-{self.port}.log"
        config = config or installation.config
        self.folder = installation.directory / f"{name}-{self.port}"
        """its working directory; a worker must write nothing there"""
        self.folder.mkdir()
        command = [sys.executable, "-m", installation.module, "worker", "--config", str(config)]
        command += ["--port", str(self.port), *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**clean_environment(), "PYTHONPATH": str(ROOT), **installation.environment},
            )

    def probe(self, path: str) -> tuple[int, str]:
        """Status and detail of /readyz or /livez; (0, "") if the worker does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return answer.status, json.loads(answer.read())["detail"]
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())["detail"]
        except OSError:
            return 0, ""

    def metrics(self) -> dict[str, float]:
        """Current metrics: ``name{label="value"}`` → value."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return {k: float(v) for k, v in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}

    def counted(self, metric: str, part: str) -> float:
        """Counted events in a part of the count, over all partitions of this worker."""
        series = f'truecount_counted_events{{metric="{metric}",part="{part}",'
        return sum(value for name, value in self.metrics().items() if name.startswith(series))

    def wait_ready(self) -> None:
        """Wait until /readyz returns 200."""
        self.wait_for(lambda: self.probe("/readyz")[0] == 200, "become ready", READY_SECONDS)

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
        """Wait until a condition is true. Fails on a timeout, or if the process ends."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (
                f"the worker ended with code {self.process.returncode}\n{log_tail(self.log)}"
            )
            if condition():
                return
            time.sleep(0.1)
        raise AssertionError(f"the worker did not {what} in {seconds} s; {self.probe('/readyz')}\n{log_tail(self.log)}")

    def stop(self) -> None:
        """Send SIGTERM. Fails if the worker does not end with code 0 in time. Does nothing if it has ended already."""
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the worker did not stop in {STOP_SECONDS} s\n{log_tail(self.log)}") from None
        assert code == 0, f"the worker ended with code {code}\n{log_tail(self.log)}"

    def kill(self) -> None:
        """Send SIGKILL."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


def install(
    broker: BrokerAddress,
    directory: Path,
    unique: Callable[[str], str],
    *,
    partitions: int = 2,
    tick_seconds: int = 2,
    counts_seconds: int = 1,
    idle_seconds: int = 1,
    lateness_seconds: int = 1,
    recovery_seconds: int = 2,
    dedupe_ids: int = 100_000,
    processing: str | None = None,
    metrics: Iterable[str] = ("view", "like", "follow"),
    input_lines: str = "",
    broker_lines: str = "",
    client: Broker | None = None,
    topics: bool = True,
    actors: bool = False,
    settlement_hours: int = 48,
) -> Installation:
    """An installation with unique names, without the role actors unless ``actors``.

    ``input_lines`` is appended to every input section (a map, for instance), ``broker_lines`` to the section of the
    broker.
    """
    name = unique("tc")
    inputs = {metric: f"{name}-{metric}s" for metric in metrics}
    sections = [f'[[inputs]]\ntopic = "{topic}"\nmetric = "{m}"\n{input_lines}' for m, topic in inputs.items()]
    config = directory / f"{name}.toml"
    config.write_text(
        CONFIG.format(
            app=name,
            prefix=f"{name}.",
            partitions=partitions,
            processing=processing or ("exactly_once" if broker.transactions else "at_least_once"),
            servers=broker.servers,
            tick_seconds=tick_seconds,
            counts_seconds=counts_seconds,
            idle_seconds=idle_seconds,
            lateness_seconds=lateness_seconds,
            recovery_seconds=recovery_seconds,
            directory=directory,
            dedupe_ids=dedupe_ids,
            actors=str(actors).lower(),
            settlement_hours=settlement_hours,
            inputs="\n".join(sections),
            broker_lines=broker_lines,
        )
    )
    installation = Installation(broker, directory, inputs, config, load(config, {}), client=client)
    if topics:
        installation.make_topics()
    return installation


def clean_environment() -> dict[str, str]:
    """The environment without variables that change truecount's settings."""
    return {k: v for k, v in os.environ.items() if not k.startswith("TRUECOUNT_")}


def run_cli(*arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a truecount command to its end."""
    return subprocess.run(
        [*CLI, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env=clean_environment(),
    )
