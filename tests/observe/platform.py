"""A live installation to be observed: a Kafka, a worker, a Prometheus, and simulated traffic with an attack."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.testbed.brokers import KafkaServer, kafka_jars
from bench.testbed.workers import ROOT, Installation, Worker, install
from streams.kafka.sender import Sender
from tests.crowds import HISTORY_MINUTES, MINUTE_MS, bought, in_order, ordinary, viral
from tests.deploy.prometheus_server import PrometheusServer

SECONDS = 180
"""Duration of the live traffic. That of the HISTORY_MINUTES before is sent at once."""
TARGETS = 100
BOUGHT_AT, VIRAL_AT = 45, 30
"""Seconds after the begin at which views of one target are bought, and another one becomes popular."""
CROWD_MINUTES, CROWD_PER_MINUTE = 1.5, 240
ODD_AT, RELOAD_AT, RESTART_AT = 20, 40, 150
"""Seconds after the begin at which odd records are sent, a configuration is applied, and the worker is killed."""
SETTLE_SECONDS = 10


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
            server.address,
            directory,
            lambda _: "truecount",
            partitions=1,
            tick_seconds=5,
            lateness_seconds=3,
            idle_seconds=2,
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
    failed: list[BaseException] = []
    traffic = threading.Thread(target=_simulate, args=(platform, failed), daemon=True)
    traffic.start()
    _wait_until(platform.began + ODD_AT)
    _send_odd_records(platform.installation)
    say("sent records that are no events, copies of events, and events that come late")
    _wait_until(platform.began + RELOAD_AT)
    _change_configuration(platform)
    say("applied another configuration")
    _wait_until(platform.began + RESTART_AT)
    _restart(platform)
    say("killed the worker, and started it again")
    traffic.join()
    if failed:
        raise failed[0]
    _wait_until(time.time() + SETTLE_SECONDS)


def _simulate(platform: Observed, failed: list[BaseException]) -> None:
    """Send honest views, a bought crowd and a popular target, each event when its time comes."""
    begin_ms = int(platform.began * 1000)
    start_ms = begin_ms - HISTORY_MINUTES * MINUTE_MS
    events = in_order(
        ordinary(1, minutes=HISTORY_MINUTES + SECONDS // 60, targets=TARGETS, start=start_ms),
        bought(2, "v3", begin=begin_ms + BOUGHT_AT * 1000, minutes=CROWD_MINUTES, per_minute=CROWD_PER_MINUTE),
        viral(3, "v7", begin=begin_ms + VIRAL_AT * 1000, minutes=CROWD_MINUTES, per_minute=CROWD_PER_MINUTE),
    )
    try:
        with Sender(platform.installation.settings) as sender:
            for event in events:
                ahead = event.ts / 1000 - time.time()
                if ahead > 0:
                    time.sleep(ahead)
                sender.send_event(event)
    except BaseException as error:  # noqa: BLE001  # the main thread raises it
        failed.append(error)


def _wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def _send_odd_records(installation: Installation) -> None:
    now = int(time.time() * 1000)
    late = [_event(f"late{n}", now - 600_000, f"t{n % 7}") for n in range(60)]
    copies = [_event(f"copy{n % 20}", now, f"t{n % 7}") for n in range(40)]
    robots = [_event(f"robot{n}", now, f"t{n % 7}", user_agent="curl/8.5.0") for n in range(50)]
    installation.send(installation.inputs["view"], [*late, *copies, *robots, b'{"ts": 1}', b"{nonsense"])
    likes = [_event(f"like{n}", now, f"t{n % 7}") for n in range(40)]
    undos = [_event(f"like{n}", now + 1, f"t{n % 7}", undo=True) for n in range(20)]
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
