"""Static membership: a worker that is back under its name within its session finds its partitions unmoved."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import Installation, Worker, install
from tests.integration.test_worker import events, per_target, raw_by_target

SESSION_SECONDS = 20
TASK = re.compile(r"TP\(topic='([^']+)', partition=(\d+)\)")
"""A task in a line of a worker's log."""


def named(truecount: Installation, name: str) -> Path:
    """A configuration for the worker of this name."""
    path = truecount.directory / f"{name}.toml"
    text = truecount.config.read_text().replace(
        "session_timeout_seconds = 6", f"session_timeout_seconds = {SESSION_SECONDS}"
    )
    path.write_text(text.replace("[broker]", f'[broker]\ninstance_id = "{name}"'))
    return path


def tasks(worker: Worker) -> float:
    """How many a worker has."""
    try:
        return sum(value for name, value in worker.metrics().items() if name.startswith("truecount_tasks{"))
    except OSError:
        return 0  # it does not serve yet


@pytest.mark.timeout(180)
def test_a_named_worker_that_comes_back_moves_nobodys_partitions(
    kafka: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    truecount = install(kafka, tmp_path, unique, partitions=2, metrics=["view"])
    views = truecount.inputs["view"]
    stays = truecount.start(name="stays", config=named(truecount, "one"))
    killed = truecount.start(name="killed", config=named(truecount, "two"))
    workers = [stays, killed]
    try:
        for worker in (stays, killed):
            worker.wait_for(lambda worker=worker: tasks(worker) == 2, "have two tasks", 90)  # type: ignore[misc]  # a lambda with a default
        closed = stays.log.read_text().count("task closed")
        truecount.send(views, events(2000))
        killed.kill()
        again = truecount.start(name="again", config=named(truecount, "two"))
        workers.append(again)
        again.wait_for(lambda: tasks(again) == 2, "have its tasks again", SESSION_SECONDS - 5)
        truecount.send(views, events(1000, start=2000))
        truecount.wait_drained(3000)
        assert stays.log.read_text().count("task closed") == closed
    finally:
        for worker in workers:
            worker.stop()
    assert raw_by_target(truecount) == per_target(3000)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_rolling_restart_of_named_workers_moves_nobodys_partitions(
    kafka: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    """As a StatefulSet updates its pods: SIGTERM, and the same name again. One of them leads the group."""
    truecount = install(kafka, tmp_path, unique, partitions=2, metrics=["view"])
    views = truecount.inputs["view"]
    names = ["pod-0", "pod-1"]
    running = {name: truecount.start(name=name, config=named(truecount, name)) for name in names}
    try:
        for worker in running.values():
            worker.wait_for(lambda worker=worker: tasks(worker) == 2, "have two tasks", 90)  # type: ignore[misc]  # a lambda with a default
        truecount.send(views, events(1000))
        truecount.wait_drained(1000)
        for number, name in enumerate(names, 1):
            (other,) = [worker for other_name, worker in running.items() if other_name != name]
            closed = other.log.read_text().count("task closed")
            had = assigned(running[name])
            assert len(had) == 2
            running[name].stop()
            running[name] = truecount.start(name=f"{name}-again", config=named(truecount, name))
            running[name].wait_for(
                lambda name=name: tasks(running[name]) == 2,  # type: ignore[misc]  # a lambda with a default
                "have its tasks again",
                SESSION_SECONDS - 5,
            )
            truecount.send(views, events(1000, start=1000 * number))
            truecount.wait_drained(1000 + 1000 * number)
            assert other.log.read_text().count("task closed") == closed, f"{name}'s restart closed tasks of the other"
            assert assigned(running[name]) == had
    finally:
        for worker in running.values():
            worker.stop()
    assert raw_by_target(truecount) == per_target(3000)


def assigned(worker: Worker) -> set[tuple[str, str]]:
    """Topic and partition of each task that a worker has opened and not closed."""
    found: set[tuple[str, str]] = set()
    for line in worker.log.read_text().splitlines():
        if "task opened" in line:
            found.update(TASK.findall(line))
        elif "task closed" in line:
            found.difference_update(TASK.findall(line))
    return found
