"""Workers of one role each, that come and go: every event is counted once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import Worker, install
from tests.integration.test_worker import events, per_target, raw_by_target


def tasks(worker: Worker, role: str) -> float:
    """Tasks of a role that a worker owns."""
    return worker.metrics().get(f'truecount_tasks{{role="{role}"}}', 0.0)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_roles_can_be_split_and_their_workers_join_and_leave(
    kafka: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    truecount = install(kafka, tmp_path, unique, partitions=4, metrics=["view"])
    views = truecount.inputs["view"]
    with truecount.worker("--roles", "ingest", name="ingest") as ingest:
        first = truecount.start("--roles", "targets", name="first")
        first.wait_ready()
        first.wait_for(lambda: tasks(first, "targets") == 4, "open all partitions", 60)
        ingest.wait_for(lambda: tasks(ingest, "ingest") == 4, "open all inputs", 60)
        assert (tasks(first, "ingest"), tasks(ingest, "targets")) == (0, 0)
        truecount.send(views, events(2000))
        truecount.wait_drained(2000)

        with truecount.worker("--roles", "targets", name="second") as second:
            second.wait_for(lambda: tasks(second, "targets") == tasks(first, "targets") == 2, "share the targets", 60)
            truecount.send(views, events(2000, start=2000))
            first.stop()
            truecount.send(views, events(2000, start=4000))
            second.wait_for(lambda: tasks(second, "targets") == 4, "take over", 60)
            truecount.wait_drained(6000)

            with truecount.worker("--roles", "ingest", name="more") as more:
                more.wait_for(lambda: tasks(more, "ingest") == tasks(ingest, "ingest") == 2, "share the inputs", 60)
                truecount.send(views, events(2000, start=6000))
                truecount.wait_drained(8000)
            truecount.send(views, events(1000, start=8000))
            truecount.wait_drained(9000)
    assert raw_by_target(truecount) == per_target(9000)
