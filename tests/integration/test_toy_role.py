"""A role that is added to the table: its topics are created, workers open its tasks, and the tools know it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import clean_environment, install
from tests.integration.toy_role import BY_TOY, COPIES, PARTITIONS, TOY_STATE

MODULE = "tests.integration.toy_role"


def run_toy(*arguments: str) -> str:
    """What a command prints that has the role in its table."""
    return subprocess.run(
        [sys.executable, "-m", MODULE, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        env=clean_environment(),
    ).stdout


@pytest.mark.timeout(240)
def test_a_role_of_one_row_gets_topics_tasks_metrics_and_a_doctor(
    broker: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    truecount = install(broker, tmp_path, unique, topics=False)
    truecount.module = MODULE
    config = ("--config", str(truecount.config))
    settings = truecount.settings
    log, copies = BY_TOY.name(settings), COPIES.name(settings)

    created = json.loads(run_toy("topics", "create", *config, "--json"))["created"]
    assert {log, copies, TOY_STATE.name(settings), truecount.topics.by_target} <= set(created)

    findings = {found["what"]: found for found in json.loads(run_toy("doctor", *config, "--json"))}
    assert findings["partitions"]["ok"], "roles may differ in their numbers"
    assert f"{log} {PARTITIONS}" in findings["partitions"]["said"]

    with truecount.worker("--roles", "toy", name="first") as worker:
        assert worker.metrics()['truecount_tasks{role="toy"}'] == PARTITIONS
        assert worker.metrics()['truecount_checkpoints_total{outcome="failed",role="toy"}'] == 0
        truecount.send(log, [b"%d" % n for n in range(30)])
        worker.wait_for(lambda: len(truecount.records(copies)) >= 30, "copy what was sent")
        taken = f'truecount_records_total{{role="toy",topic="{log}"}}'
        assert worker.metrics()[taken] == 30
    truecount.send(log, [b"%d" % n for n in range(30, 60)])
    with truecount.worker("--roles", "toy", name="second") as worker:
        worker.wait_for(lambda: len(truecount.records(copies)) >= 60, "go on from its changelog")
    assert sorted(int(record.value) for record in truecount.records(copies)) == list(range(60))


def test_a_worker_writes_nothing_into_the_folder_that_it_runs_in(
    tansu: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    truecount = install(tansu, tmp_path, unique, metrics=["view"])
    with truecount.worker() as worker:
        folder = worker.folder
        assert Path(f"/proc/{worker.process.pid}/cwd").resolve() == folder or sys.platform != "linux"
    assert list(folder.iterdir()) == []
