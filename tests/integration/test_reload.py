"""SIGHUP: a running worker takes a new configuration, or refuses it, and loses nothing."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import Installation, Worker, install
from streams.log.versions import decode
from streams.settings.settings import load
from streams.state.sealed import META_KEY, meta_of
from tests.crowds import HISTORY_MINUTES, MINUTE_MS, START_MS, bought, in_order, ordinary


def edit(truecount: Installation, old: str, new: str) -> None:
    """Change a line of the configuration's file."""
    text = truecount.config.read_text()
    assert old in text
    truecount.config.write_text(text.replace(old, new))


def reload(worker: Worker, outcome: str) -> None:
    """Send SIGHUP and wait for one more of an outcome."""
    series = f'truecount_configuration_reloads_total{{outcome="{outcome}"}}'
    before = worker.metrics()[series]
    worker.process.send_signal(signal.SIGHUP)
    worker.wait_for(lambda: worker.metrics()[series] == before + 1, f"say {outcome}")


def configuration(worker: Worker) -> list[str]:
    """What ``truecount_build_info`` shows."""
    return [name.split('config="')[1][:23] for name in worker.metrics() if name.startswith("truecount_build_info")]


def test_a_new_configuration_holds_from_one_position_of_the_log_on(
    kafka: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    truecount = install(kafka, tmp_path, unique, metrics=["view"], partitions=1, tick_seconds=10)
    views, before = truecount.inputs["view"], truecount.settings.version()
    burst_at = START_MS + HISTORY_MINUTES * MINUTE_MS
    first = in_order(ordinary(1, ids=True), bought(2, "v3", begin=burst_at - 10 * MINUTE_MS, ids=True))
    second = in_order(
        ordinary(3, minutes=20, start=burst_at + 5 * MINUTE_MS), bought(4, "v5", begin=burst_at + 15 * MINUTE_MS)
    )
    with truecount.worker() as worker:
        truecount.send(views, [msgspec.json.encode(event) for event in first])
        truecount.wait_drained(len(first))
        reload(worker, "unchanged")

        edit(truecount, "partitions = 1", "partitions = 2")
        reload(worker, "refused")
        assert "partitions cannot change while the worker runs" in worker.log.read_text()
        edit(truecount, "partitions = 2", "partitons = 1")
        reload(worker, "refused")
        assert "partitons: unknown key" in worker.log.read_text()
        assert worker.metrics()["truecount_configuration_last_reload_successful"] == 0
        assert configuration(worker) == [before]

        edit(truecount, "partitons = 1", "partitions = 1")
        edit(truecount, "counts_seconds = 1", "counts_seconds = 2")
        edit(truecount, "[state]", "[detection.metric.view]\nexcess_events = 11\n\n[state]")
        reload(worker, "applied")
        assert worker.metrics()["truecount_configuration_last_reload_successful"] == 1
        after = load(truecount.config, {}).version()
        assert configuration(worker) == [after] != [before]
        truecount.send(views, [msgspec.json.encode(event) for event in second])
        truecount.wait_drained(len(first) + len(second))

    state = [r.value for r in truecount.records(truecount.topics.targets_state) if r.key == META_KEY]
    (_, was), (since, now) = meta_of(state[-1]).configs
    assert (was, now) == (before, after)
    flags = [json.loads(record.value) for record in truecount.records(truecount.topics.flagged_events)]
    assert {(flag["target"], flag["config"]) for flag in flags} >= {("v3", before), ("v5", after)}
    told_before = [flag for flag in flags if flag["config"] == before]
    assert all(flag["log"]["to"] < since for flag in told_before)
    assert all(flag["log"]["to"] >= since for flag in flags if flag["target"] == "v5")
    later = [r.offset for r in truecount.records(truecount.topics.by_target) if decode(r.value).target]
    assert min(later) < since < max(later)
