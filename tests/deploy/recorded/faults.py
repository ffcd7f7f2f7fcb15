"""The faults: each is caused to a live worker while its /metrics are scraped."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import string
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from bench.testbed.brokers import BrokerAddress, KafkaServer
from bench.testbed.workers import Installation, Worker, install
from streams.state.sealed import META_KEY
from tests.deploy.recorded.promtool_file import Fault
from tests.deploy.recorded.scrapes import Recording

MINUTE_MS = 60_000
DISK_MEGABYTES = 64
BACKLOG_SCRAPES = 90
PUBLICATIONS = 3


def unique(prefix: str) -> str:
    """A name that no other installation has."""
    return prefix + "".join(random.choices(string.ascii_lowercase, k=8))


def events(count: int, *, ago_ms: int = 0, span_ms: int = 1_000, targets: int = 50) -> list[bytes]:
    """Native events that end ``ago_ms`` before now and span this time."""
    end = int(time.time() * 1000) - ago_ms
    tag = unique("")
    return [
        json.dumps(
            {
                "id": f"{tag}{number}",
                "ts": end - span_ms + number * span_ms // count,
                "actor": f"{tag}{number}",  # of their own: a repeated view is no event of the count
                "target": f"t{number % targets}",
            }
        ).encode()
        for number in range(count)
    ]


class Live:
    """An installation with one worker, which gets events all the time."""

    def __init__(self, broker: BrokerAddress, directory: Path) -> None:
        self.installation: Installation = install(broker, directory, unique, partitions=1)
        self.views = self.installation.inputs["view"]
        self.worker: Worker | None = None

    def start(self) -> Worker:
        """Start a worker and wait until it is ready."""
        self.worker = self.installation.start()
        self.worker.wait_ready()
        return self.worker

    def recording(self) -> Recording:
        """A recording with some scrapes of the healthy worker."""
        assert self.worker is not None
        found = Recording(f"http://127.0.0.1:{self.worker.port}/metrics")
        found.take(4, meanwhile=self.send)
        found.fault()
        return found

    def send(self) -> None:
        """Send some events of now."""
        self.installation.send(self.views, events(200))

    def stop(self) -> None:
        """End the worker."""
        if self.worker is not None:
            self.worker.kill()


@contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """A small disk in memory at a directory. Needs root."""
    directory.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "none", str(directory)]
    subprocess.run(command, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def one_worker(server: KafkaServer, directory: Path) -> Iterable[Fault]:
    """Faults that a worker survives, one after the other."""
    live = Live(server.address, directory)
    with small_disk(directory / "state"):
        try:
            worker = live.start()
            live.send()
            yield from _full_disk(live, directory / "state")
            yield from _limits(live, worker.process.pid)
            yield from _input(live)
            yield from _configuration(live, worker.process.pid)
        finally:
            live.stop()


def _full_disk(live: Live, disk: Path) -> Iterable[Fault]:
    recording = live.recording()
    full = disk / "other_files"
    with full.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, int(shutil.disk_usage(disk).free * 0.95))
    recording.take(3)
    full.unlink()
    yield Fault("a disk that other files fill", recording, ("TruecountDiskNearlyFull",))


def _limits(live: Live, pid: int) -> Iterable[Fault]:
    recording = live.recording()
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 6, before[1]))
    recording.take(3)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    yield Fault("a limit of open files that is nearly reached", recording, ("TruecountFilesNearlyUsedUp",))

    recording = live.recording()
    before = resource.prlimit(pid, resource.RLIMIT_RSS)
    used = int(recording.scrapes[-1]["process_resident_memory_bytes"])
    resource.prlimit(pid, resource.RLIMIT_RSS, (int(used / 0.95), before[1]))
    recording.take(3)
    resource.prlimit(pid, resource.RLIMIT_RSS, before)
    yield Fault("a limit of memory that is nearly reached", recording, ("TruecountMemoryNearlyFull",))


def _input(live: Live) -> Iterable[Fault]:
    installation, views = live.installation, live.views

    recording = live.recording()
    late = partial(_send_both, live, lambda: events(50, ago_ms=30 * MINUTE_MS))
    late()
    recording.take(6, meanwhile=late)
    yield Fault("a producer that sends half an hour late", recording, ("TruecountLateEvents",))

    recording = live.recording()
    bad = partial(_send_both, live, lambda: [b'{"ts": 1}'] * 50)
    bad()
    recording.take(6, meanwhile=bad)
    yield Fault("a producer that leaves out fields", recording, ("TruecountDeadLetters",))

    recording = live.recording()
    write(installation, installation.topics.by_target, {None: b"no frame"})
    recording.take(3, meanwhile=live.send)
    yield Fault("another writer in the log", recording, ("TruecountBrokenFrames",))

    recording = live.recording()
    worker = live.worker
    assert worker is not None
    worker.process.send_signal(signal.SIGSTOP)
    live.send()
    ends = delete_records(installation, views)
    worker.process.send_signal(signal.SIGCONT)
    assert ends > 0
    live.send()
    recording.take(6, meanwhile=live.send)
    yield Fault("records that the broker deletes before they are read", recording, ("TruecountRecordsDeleted",))


def _send_both(live: Live, wrong: Callable[[], list[bytes]]) -> None:
    """Send some events of now, and some that are wrong."""
    live.installation.send(live.views, [*events(150), *wrong()])


def _configuration(live: Live, pid: int) -> Iterable[Fault]:
    recording = live.recording()
    config = live.installation.config
    config.write_text(config.read_text() + "\n[detection]\nmisspelt_score = 3\n")
    os.kill(pid, signal.SIGHUP)
    recording.take(2)
    yield Fault("a configuration with a misspelt key", recording, ("TruecountReloadRefused",))


def damaged_state(server: KafkaServer, directory: Path) -> Iterable[Fault]:
    """Records of the state are overwritten while no worker runs; then the meta record, without which no task opens."""
    live = Live(server.address, directory)
    installation = live.installation
    topic = installation.topics.targets_state
    try:
        worker = live.start()
        live.send()
        live.send()
        worker.wait_for(lambda: worker.metrics().get('truecount_targets{partition="0"}', 0) > 0, "count")
        recording = live.recording()
        worker.stop()
        keys = {record.key: b"\x08damaged" for record in installation.records(topic) if record.key != META_KEY}
        write(installation, topic, dict(list(keys.items())[:3]))
        _go_on(live, recording)
        recording.take(3)
        yield Fault("stored state that is damaged", recording, ("TruecountStateDamaged",))

        recording = live.recording()
        assert live.worker is not None
        live.worker.stop()
        write(installation, topic, {META_KEY: b"\x08damaged"})
        worker = live.worker = installation.start()
        recording.address = f"http://127.0.0.1:{worker.port}/metrics"
        recording.take(12)
        yield Fault("state without which a task cannot open", recording, ("TruecountTaskRestarting",))
    finally:
        live.stop()


def _go_on(live: Live, recording: Recording) -> None:
    """Start the next worker without the local copy of the state, under the same name for Prometheus."""
    shutil.rmtree(live.installation.directory / "state")
    worker = live.start()
    recording.address = f"http://127.0.0.1:{worker.port}/metrics"


def restarts(server: KafkaServer, directory: Path) -> Iterable[Fault]:
    """A worker that is killed again and again, and then stays away."""
    live = Live(server.address, directory)
    try:
        live.start()
        recording = live.recording()
        for _ in range(3):
            live.stop()
            worker = live.start()
            recording.address = f"http://127.0.0.1:{worker.port}/metrics"
            recording.take(1)
        yield Fault("a worker that is killed again and again", recording, ("TruecountWorkerRestarting",))
        recording = live.recording()
        live.stop()
        recording.take(2)
        yield Fault("a worker that was killed", recording, ("TruecountWorkerDown",))
    finally:
        live.stop()


def backlog(server: KafkaServer, directory: Path) -> Iterable[Fault]:
    """A worker that was away for an hour, and reads what has waited."""
    live = Live(server.address, directory)
    try:
        worker = live.start()
        recording = Recording(f"http://127.0.0.1:{worker.port}/metrics")
        recording.take(3)  # without events: those that wait are older, and would be late after newer ones
        recording.fault()
        worker.stop()
        for minutes in range(60, 10, -1):
            live.installation.send(
                live.views, events(4_000, ago_ms=minutes * MINUTE_MS, span_ms=MINUTE_MS), codec="lz4"
            )
        worker = live.worker = live.installation.start()
        recording.address = f"http://127.0.0.1:{worker.port}/metrics"
        worker.wait_for(lambda: worker.probe("/readyz")[0] == 200, "become ready", 60)
        lag = f'truecount_lag_records{{partition="0",role="ingest",topic="{live.views}"}}'
        recording.take(1)
        while recording.scrapes[-1].get(lag, 1.0) > 0:
            recording.take(1)
        recording.scrapes.pop()
        waited = replace(recording, scrapes=list(recording.scrapes))
        yield Fault("an input that waited for an hour", waited, ("TruecountSourceBehind",))

        published = 'truecount_output_latency_seconds_count{output="count"}'
        while recording.scrapes[-1].get(published, 0.0) < PUBLICATIONS and len(recording.scrapes) < BACKLOG_SCRAPES:
            recording.take(1)
        yield Fault("a worker that audits the events of an hour", recording, ("TruecountOutputLate",))
    finally:
        live.stop()


def outage(server: KafkaServer, directory: Path) -> Iterable[Fault]:
    """The broker is killed. It is the last fault of its broker."""
    live = Live(server.address, directory)
    try:
        live.start()
        live.send()
        recording = live.recording()
        server.kill()
        recording.take(12)
        yield Fault("a broker that was killed", recording, ("TruecountBrokerUnreachable", "TruecountWorkerNotReady"))
    finally:
        live.stop()


def write(installation: Installation, topic: str, records: dict[bytes | None, bytes]) -> None:
    """Write records to partition 0 of a topic."""
    producer = KafkaProducer(bootstrap_servers=installation.broker.servers, acks="all", enable_idempotence=False)
    try:
        for key, value in records.items():
            producer.send(topic, value, key=key, partition=0).get(timeout=10)
    finally:
        producer.close()


def delete_records(installation: Installation, topic: str) -> int:
    """Delete all records of partition 0 of a topic. Returns the end."""
    admin = KafkaAdminClient(bootstrap_servers=installation.broker.servers)
    try:
        at = TopicPartition(topic, 0)
        with installation._consumer() as consumer:  # the testbed's own
            end = int(consumer.end_offsets([at])[at])
        admin.delete_records({at: end})
        return end
    finally:
        admin.close()
