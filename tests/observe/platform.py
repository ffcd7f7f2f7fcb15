"""A live installation to be observed: a Kafka, a worker, a Prometheus, and simulated traffic with an attack."""

from __future__ import annotations

import json
import random
import signal
import string
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.testbed.brokers import KafkaServer, kafka_jars
from bench.testbed.workers import CLI, ROOT, Installation, Worker, clean_environment, install
from tests.deploy.prometheus_server import PrometheusServer

SECONDS = 170
"""Duration of the traffic. The attack begins in its middle."""
RATE, TARGETS, SEED = 600, 300, 1
RESTART_AT, RELOAD_AT, ODD_AT = 145, 60, 20
"""Seconds after the begin at which the worker is killed, a configuration is applied, and odd records are sent."""
SETTLE_SECONDS = 15


@dataclass(slots=True)
class Observed:
    """What runs, and since when (unix seconds)."""

    installation: Installation
    worker: Worker
    prometheus: PrometheusServer
    began: float


@contextmanager
def observed(directory: Path) -> Iterator[Observed]:
    """Start everything; stop it at the end."""
    server = KafkaServer(directory / "kafka", kafka_jars())
    server.start()
    try:
        installation = install(
            server.address, directory, _unique, partitions=2, tick_seconds=5, lateness_seconds=3, idle_seconds=2
        )
        worker = installation.start()
        files = ROOT / "deploy" / "prometheus"
        (directory / "prometheus").mkdir()
        prometheus = PrometheusServer(f"http://127.0.0.1:{worker.port}", files, directory / "prometheus")
        platform = Observed(installation, worker, prometheus, time.time())
        try:
            worker.wait_ready()
            prometheus.start()
            yield platform
        finally:
            prometheus.stop()
            platform.worker.kill()
    finally:
        server.stop()


def play(platform: Observed, say: Callable[[str], None]) -> None:
    """Send the traffic to its end; meanwhile send odd records, change the configuration, and kill the worker."""
    platform.began = time.time()
    command = [*CLI, "simulate", "--config", str(platform.installation.config)]
    command += [f"--seconds={SECONDS}", f"--rate={RATE}", f"--targets={TARGETS}", f"--seed={SEED}"]
    environment = {**clean_environment(), "PYTHONPATH": str(ROOT)}
    log = platform.installation.directory / "simulate.log"
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env=environment) as simulation:
        try:
            _wait_until(platform.began + ODD_AT)
            _send_odd_records(platform.installation)
            say("sent records that are no events, copies of events, and events that come late")
            _wait_until(platform.began + RELOAD_AT)
            _change_configuration(platform)
            say("applied another configuration")
            _wait_until(platform.began + RESTART_AT)
            _restart(platform)
            say("killed the worker, and started it again")
            simulation.wait(timeout=2 * SECONDS)
        finally:
            simulation.kill()
    _wait_until(time.time() + SETTLE_SECONDS)


def _unique(prefix: str) -> str:
    return prefix + "".join(random.choices(string.ascii_lowercase, k=8))


def _wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def _send_odd_records(installation: Installation) -> None:
    now = int(time.time() * 1000)
    late = [_event(f"late{n}", now - 600_000, f"t{n % 7}") for n in range(60)]
    copies = [_event(f"copy{n % 20}", now, f"t{n % 7}") for n in range(40)]
    robots = [_event(f"robot{n}", now, f"t{n % 7}", user_agent="curl/8.5.0") for n in range(50)]
    installation.send(installation.inputs["view"], [*late, *copies, *robots, b'{"ts": 1}', b"{nonsense"])
    likes = [_event(f"like{n}", now, f"t{n % 7}") for n in range(40)]
    undos = [_event(f"undo{n}", now + 1, f"t{n % 7}", undo=True) for n in range(20)]
    installation.send(installation.inputs["like"], [*likes, *undos])


def _event(name: str, at: int, target: str, **fields: str | bool) -> bytes:
    return json.dumps({"id": name, "ts": at, "actor": name, "target": target, **fields}).encode()


def _change_configuration(platform: Observed) -> None:
    config = platform.installation.config
    config.write_text(config.read_text() + "\n[detection]\nfalse_discovery_rate = 0.02\n")
    platform.worker.process.send_signal(signal.SIGHUP)


def _restart(platform: Observed) -> None:
    """Kill the worker; the next one has the same address, so that Prometheus finds it."""
    port = platform.worker.port
    platform.worker.kill()
    platform.worker = platform.installation.start("--port", str(port), name="next")
    platform.worker.port = port
    platform.worker.wait_ready()
