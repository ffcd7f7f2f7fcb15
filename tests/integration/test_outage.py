"""A worker without its broker: alive, not ready, and it says why; when the broker is back, every event counts once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.testbed.brokers import KafkaServer
from bench.testbed.workers import Installation, Worker, install
from tests.integration.test_worker import events

WATCHDOG_SECONDS = 8
NOTICED_SECONDS = 20
"""Five seconds without an answer, and up to six until the cause is known."""
BACK_SECONDS = 60


def _lines(worker: Worker) -> list[dict[str, object]]:
    """What the worker has written. Fails if a line is not JSON."""
    return [json.loads(line) for line in worker.log.read_text().splitlines()]


def _outage(truecount: Installation, worker: Worker, begin: Callable[[], None], end: Callable[[], None]) -> str:
    """An outage that is longer than the watchdog's limit. Returns the reason that /readyz gives."""
    begin()
    worker.wait_for(
        lambda: worker.probe("/readyz")[0] == 503 and truecount.broker.servers in worker.probe("/readyz")[1],
        "name the cause of the outage",
        NOTICED_SECONDS,
    )
    reason = worker.probe("/readyz")[1]
    assert worker.metrics()["truecount_broker_reachable"] == 0
    assert worker.metrics()["truecount_ready"] == 0
    began = time.monotonic()
    while time.monotonic() - began < 1.5 * WATCHDOG_SECONDS:
        assert worker.probe("/livez")[0] == 200
        assert worker.probe("/readyz")[0] == 503
        time.sleep(0.5)
    end()
    worker.wait_for(lambda: worker.probe("/readyz")[0] == 200, "become ready again", BACK_SECONDS)
    assert worker.metrics()["truecount_broker_reachable"] == 1
    return reason


@pytest.mark.timeout(240)
def test_an_outage_ends_readiness_not_life_and_costs_no_event(
    kafka_server: KafkaServer, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    truecount = install(kafka_server.address, tmp_path, unique, metrics=["view"])
    config = truecount.config.read_text()
    truecount.config.write_text(f"watchdog_seconds = {WATCHDOG_SECONDS}\n{config}")
    views = truecount.inputs["view"]
    with truecount.worker() as worker:
        truecount.send(views, events(2000))
        killed = _outage(truecount, worker, kafka_server.kill, kafka_server.start)
        truecount.send(views, events(2000, start=2000))
        frozen = _outage(truecount, worker, kafka_server.pause, kafka_server.resume)
        truecount.send(views, events(2000, start=4000))
        truecount.wait_drained(6000)
        assert worker.probe("/livez") == (200, "alive")

    assert "TCP connection refused" in killed
    assert "it accepts connections, but did not answer" in frozen
    logged = [line for line in _lines(worker) if "answer" in str(line["event"])]
    assert [line["event"] for line in logged] == 2 * ["the broker does not answer", "the broker answers again"]
    assert [line["level"] for line in logged] == 2 * ["warning", "info"]
    assert all(float(str(line["seconds"])) > WATCHDOG_SECONDS for line in logged[1::2])
