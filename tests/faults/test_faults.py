"""The short part of the faults: everything that can be done to workers and broker, within a minute or two."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bench.testbed.brokers import KafkaServer
from tests.faults.faults import (
    SmallDisk,
    corrupt_stores,
    disk_full,
    freeze,
    grow_inputs,
    in_turn,
    kill_broker,
    kills,
    silent_broker,
)
from tests.faults.results import Report
from tests.faults.siege import Siege
from tests.faults.traffic import Traffic

DRAIN_SECONDS = 150


def equal(report: Report) -> None:
    """Nothing differs, and there was something to compare."""
    assert report.problems == []
    assert report.flags > 10
    assert report.corrections > 10
    assert report.events > 20_000


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_whatever_happens_to_workers_and_broker_every_count_and_flag_is_that_of_an_undisturbed_run(
    kafka_server: KafkaServer, tmp_path: Path
) -> None:
    siege = Siege("everything", kafka_server, tmp_path / "siege", Traffic(1, 60, 130), rate=400)
    disturb = in_turn(kills(3, shortest=1, longest=4), freeze, grow_inputs, kill_broker, silent_broker(8))
    equal(asyncio.run(siege.run(disturb, drain_seconds=DRAIN_SECONDS)))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk to fill")
def test_a_disk_that_is_corrupt_or_full_costs_no_count(kafka_server: KafkaServer, tmp_path: Path) -> None:
    siege = Siege("disks", kafka_server, tmp_path / "siege", Traffic(2, 60, 130), rate=600)
    siege.disks[0] = SmallDisk(siege.state_directory(0))
    equal(asyncio.run(siege.run(in_turn(corrupt_stores, disk_full(0)), drain_seconds=DRAIN_SECONDS)))
