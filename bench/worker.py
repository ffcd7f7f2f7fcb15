"""Measures worker processes, from the first record to the checkpoint with the last event."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from bench.events import CLOSING_TARGET
from bench.measured import ROOT, Measured, PartError
from bench.testbed.brokers import free_port, log_tail
from bench.topic import TOPIC
from streams.kafka.topics import Topics, create
from streams.roles import plan
from streams.settings.settings import Settings, load

POLL_SECONDS = 0.25
"""Interval of reading /metrics, which takes the worker some ms."""
START_SECONDS = 60.0
STOP_SECONDS = 45.0
ANSWER_SECONDS = 10.0
READ_SECONDS = 60.0

AUDITED = ("truecount_events_total", "truecount_rejected_events_total")
"""Metrics whose sum is the audited events: those in windows, and those made invalid by a rule."""

CONFIG = """\
app = "{app}"
prefix = "{app}."
processing = "exactly_once"
[broker]
servers = "{servers}"
[state]
directory = "{directory}/state"
[actors]
enabled = {actors}
[[inputs]]
topic = "{topic}"
metric = "view"
"""


class Worker:
    """``truecount worker`` in one or more processes: exactly once, with the role actors or not, default settings."""

    def __init__(
        self, servers: str, directory: Path, *, app: str = "bench", processes: int = 1, actors: bool = False
    ) -> None:
        self._members: list[_Process] = []
        self.settings = Settings()
        for number in range(processes):
            home = directory / str(number)
            home.mkdir(parents=True, exist_ok=True)
            config = home / "truecount.toml"
            config.write_text(
                CONFIG.format(app=app, servers=servers, directory=home, topic=TOPIC, actors=str(actors).lower())
            )
            self.settings = load(config, environ={})
            self._members.append(_Process(config, home / "worker.log"))
        self._actors = actors
        create(self.settings, plan(self.settings, inputs=False))

    def measure(self, events: int, deadline_seconds: float) -> Measured:
        """Run it until all roles have taken all events, then stop it with a last checkpoint. Raises PartError.

        Time starts at the last poll before the first record was read. When the last event is counted, the worker is
        stopped. Time ends when its last task has closed, with a committed transaction. CPU time is that of the
        processes between the same times.
        """
        members = self._members
        for member in members:
            member.start()
        try:
            began, cpu = self._until(("truecount_records_total",), 1, time.monotonic() + START_SECONDS)
            self._until(AUDITED, events, began + deadline_seconds)
            if self._actors:
                self._until(("truecount_actor_events_total",), events, began + deadline_seconds)
            for member in members:
                member.process.send_signal(signal.SIGTERM)
            ends = [member.until_closed() for member in members]
            for member in members:
                member.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise PartError(f"a worker did not end within {STOP_SECONDS:.0f} s: {error}") from None
        finally:
            for member in members:
                member.kill()
        return Measured(events, max(at for at, _ in ends) - began, sum(used for _, used in ends) - cpu)

    def _until(self, names: Sequence[str], wanted: int, deadline: float) -> tuple[float, float]:
        """Wait until the sum of the metrics reaches ``wanted``. Returns time and CPU time just before that poll."""
        while True:
            before = time.monotonic(), sum(member.cpu_seconds() for member in self._members)
            reached = sum(member.total(names) for member in self._members)
            if reached >= wanted:
                return before
            for member in self._members:
                member.check()
            if before[0] > deadline:
                raise PartError(
                    f"{' + '.join(names)} reached {reached:,.0f} of {wanted:,}\n{log_tail(self._members[0].log)}"
                )
            time.sleep(POLL_SECONDS)

    def counted(self) -> int:
        """Sum of the raw audited counts, read committed. Raises PartError."""
        try:
            return asyncio.run(asyncio.wait_for(self._counted(), READ_SECONDS))
        except TimeoutError:
            raise PartError(f"the audited counts were not read within {READ_SECONDS:.0f} s") from None

    async def _counted(self) -> int:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.broker.servers,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            topic = Topics.of(self.settings).audited_counts
            parts = [TopicPartition(topic, p) for p in range(self.settings.partitions)]
            consumer.assign(parts)
            ends = await consumer.end_offsets(parts)
            raw: dict[str, int] = {}
            for part in parts:
                while await consumer.position(part) < ends[part]:
                    for record in (await consumer.getmany(part, timeout_ms=500)).get(part, ()):
                        count = msgspec.json.decode(record.value)
                        raw[count["target"]] = count["raw"]
            raw.pop(CLOSING_TARGET, None)
            return sum(raw.values())
        finally:
            await consumer.stop()


class _Process:
    """One process of a worker."""

    def __init__(self, config: Path, log: Path) -> None:
        self.log = log
        self._port = free_port()
        self._command = [sys.executable, "-m", "streams.cli", "worker", "--config", str(config)]
        self._command += ["--port", str(self._port)]
        self._last: dict[str, float] = {}
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def check(self) -> None:
        if self.process.poll() is not None:
            raise PartError(f"the worker ended with code {self.process.returncode}\n{log_tail(self.log)}")

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.pid)

    def total(self, names: Sequence[str]) -> float:
        """Sum of the metrics; the last known sum if the worker does not answer."""
        with suppress(OSError, HTTPException):
            page = self._metrics()
            self._last.update({name: total(page, name) for name in names})
        return sum(self._last.get(name, 0.0) for name in names)

    def until_closed(self) -> tuple[float, float]:
        """Wait for the end of its last task. Returns that time, and the CPU time used until then."""
        cpu = self.cpu_seconds()
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            cpu = self.cpu_seconds()
            try:
                page = self._metrics()
            except (OSError, HTTPException):
                break
            if total(page, 'truecount_checkpoints_total{outcome="failed"') > 0:
                raise PartError(f"a checkpoint failed\n{log_tail(self.log)}")
            if total(page, "truecount_tasks") == 0:
                break
            time.sleep(POLL_SECONDS)
        return time.monotonic(), cpu

    def _metrics(self) -> str:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", f"/metrics?{ASKED}")
            return connection.getresponse().read().decode()
        finally:
            connection.close()


READ = ("records_total", "events_total", "rejected_events_total", "actor_events_total", "checkpoints_total", "tasks")
ASKED = "&".join(f"name[]=truecount_{name}" for name in READ)
"""What is read of the metrics. The whole page, four times a second, would take some percent of the CPU time."""


def total(page: str, name: str) -> float:
    """Sum of all series of a metrics page whose line begins with ``name``, followed by labels or a value.

    >>> total('a_total{x="1"} 2.0\\na_total{x="2"} 3.0\\na_total_b 7.0', "a_total")
    5.0
    """
    lines = (line for line in page.splitlines() if line.startswith(name) and line[len(name)] in "{, ")
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def cpu_seconds(pid: int) -> float:
    """User and system CPU time of a process; 0 without /proc or without such a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
