"""What the engine's times and numbers bound: seeks, restores, waits, and what the probes and the metrics see."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from faust.types import TP

from streams.clock import FakeClock
from streams.engine.activity import Activity
from streams.engine.engine import Engine
from streams.engine.task import turns
from streams.kafka.transport import Batch
from streams.metrics import REGISTRY
from tests.streams.engine.pretended import (
    FIRST,
    SECOND,
    Broker,
    Consumer,
    Outlet,
    Work,
    batch,
    committed,
    engine,
    settled,
)


def shown(name: str, **labels: str) -> float | None:
    """A metric as it is exposed."""
    return REGISTRY.get_sample_value(f"truecount_{name}", labels)


async def beat(tasks: Engine) -> None:
    """A heartbeat of all partitions."""
    tasks.heartbeat()
    await settled()


# ---------------------------------------------------------------- what is delivered


@pytest.mark.parametrize("lag", [5, 0, None], ids=["records are left", "none is left", "nobody knows"])
def test_a_batch_that_a_rebalance_lost_is_asked_for_ten_seconds_after_the_last_one(
    lag: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Consumer, "remaining", lambda *_: lag)

    async def course() -> None:
        broker = Broker()
        tasks, consumer = engine(broker, FIRST)
        await beat(tasks)
        assert consumer.sought == [(FIRST, 0)], "what was delivered before the task was open"
        broker.clock.advance(9)
        await tasks.handle(batch(FIRST, 0, 4))
        consumer.sought.clear()
        broker.clock.advance(10)
        await beat(tasks)
        assert consumer.sought == []
        broker.clock.advance(0.5)
        await beat(tasks)
        again = [(FIRST, 4)] if lag else []
        assert consumer.sought == again
        await beat(tasks)
        assert consumer.sought == again, "once in ten seconds"
        assert tasks.behind() is bool(lag)

    asyncio.run(course())


def test_of_a_batch_that_overlaps_what_was_taken_only_the_rest_is_taken() -> None:
    async def course() -> None:
        broker = Broker()
        tasks, consumer = engine(broker, FIRST)
        before = shown("records_total", role="targets", topic=FIRST.topic) or 0.0
        await tasks.handle(batch(FIRST, 0, 10))
        await tasks.handle(batch(FIRST, 5, 5))
        await tasks.handle(batch(FIRST, 5, 8))
        await settled()
        await beat(tasks)
        assert committed(broker) == list(range(13))
        assert (shown("records_total", role="targets", topic=FIRST.topic) or 0.0) - before == 13
        assert (FIRST, 10) not in consumer.sought, "that is no gap"

    asyncio.run(course())


# ---------------------------------------------------------------- restores


def test_some_tasks_are_restored_at_once_and_the_others_wait_for_their_turn() -> None:
    async def course() -> None:
        broker = Broker()
        places = [TP("log", number) for number in range(20)]
        broker.gates = {tp: asyncio.Event() for tp in places}
        tasks, _ = engine(broker, *places)
        await beat(tasks)
        first = len(broker.opened)
        assert 4 <= first <= 10, "each takes memory"
        for gate in broker.gates.values():
            gate.set()
        await settled()
        await beat(tasks)
        assert set(tasks.tasks) == set(places)
        assert sorted(broker.opened, key=str) == sorted(places, key=str), "each once"

    asyncio.run(course())


def test_a_task_whose_partition_went_while_it_was_restored_is_closed_again() -> None:
    async def course() -> None:
        broker = Broker()
        broker.gates[FIRST] = asyncio.Event()
        made: list[Work] = []
        consumer = Consumer({FIRST})

        def make(tp: TP) -> tuple[Any, Any]:
            made.append(Work(broker, tp))
            return made[-1], Outlet(broker)

        tasks = Engine(membership=lambda: consumer, make=make, clock=broker.clock)
        await beat(tasks)
        consumer.assigned = set()
        broker.gates[FIRST].set()
        await settled()
        assert [work.closed for work in made] == [True]
        assert not tasks.tasks

    asyncio.run(course())


# ---------------------------------------------------------------- what is shown


def test_tasks_and_their_lag_and_their_checkpoints_are_shown_while_they_are_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Consumer, "remaining", lambda _self, _tp, position: 30 - position)
    lag = {"role": "targets", "topic": "log", "partition": "0"}

    async def course() -> None:
        broker = Broker()
        before = {
            name: shown(name, role="targets", **labels) or 0.0
            for name, labels in (("tasks", {}), ("checkpoints_total", {"outcome": "committed"}))
        }
        failed = shown("checkpoints_total", role="targets", outcome="failed") or 0.0
        tasks, consumer = engine(broker, FIRST, SECOND)
        await beat(tasks)
        assert shown("tasks", role="targets") == before["tasks"] + 2
        await tasks.handle(batch(FIRST, 0, 10))
        await settled()
        await beat(tasks)
        assert shown("lag_records", **lag) == 20
        assert shown("checkpoints_total", role="targets", outcome="committed") == before["checkpoints_total"] + 1
        broker.errors = [RuntimeError("no")]
        await tasks.handle(batch(FIRST, 10, 10))
        await settled()
        assert shown("checkpoints_total", role="targets", outcome="failed") == failed + 1
        assert shown("checkpoints_total", role="targets", outcome="committed") == before["checkpoints_total"] + 1
        consumer.assigned = set()
        await beat(tasks)
        assert shown("tasks", role="targets") == before["tasks"]
        assert shown("lag_records", **lag) is None

    asyncio.run(course())


def test_a_worker_is_behind_while_a_partition_of_its_is_not_open() -> None:
    async def course() -> None:
        broker = Broker()
        tasks, consumer = engine(broker, FIRST)
        await beat(tasks)
        assert (tasks.assigned, tasks.behind()) == (1, False)
        broker.gates[SECOND] = asyncio.Event()
        consumer.assigned = {FIRST, SECOND}
        await beat(tasks)
        assert (tasks.assigned, tasks.behind()) == (2, True)
        broker.gates[SECOND].set()
        await settled()
        assert not tasks.behind()

    asyncio.run(course())


# ---------------------------------------------------------------- activity


def test_records_wait_from_when_they_were_taken_until_a_checkpoint_that_was_cut_after_them() -> None:
    clock = FakeClock()
    activity, begin = Activity(clock=clock), clock.monotonic()
    assert (activity.last_at, activity.unsaved_since()) == (begin, None)
    clock.advance(1)
    activity.took(FIRST)
    clock.advance(1)
    activity.took(FIRST)
    activity.took(SECOND)
    assert (activity.last_at, activity.unsaved_since()) == (begin + 2, begin + 1)
    clock.advance(3)
    activity.committed(FIRST, cut_at=begin + 1.5, more=True)
    assert (activity.last_at, activity.unsaved_since()) == (begin + 5, begin + 1.5)
    activity.committed(FIRST, cut_at=begin + 5, more=False)
    assert activity.unsaved_since() == begin + 2
    activity.retain({FIRST})
    assert activity.unsaved_since() is None


def test_while_a_task_works_on_a_batch_its_records_do_not_count_as_waiting() -> None:
    clock = FakeClock()
    activity, begin = Activity(clock=clock), clock.monotonic()
    activity.took(FIRST)
    activity.stepped(FIRST, since=begin + 1, now=begin + 4)
    activity.stepped(SECOND, since=begin + 4, now=begin + 5)
    assert (activity.last_at, activity.unsaved) == (begin + 5, {FIRST: begin + 3})
    activity.stored(begin + 6)
    assert (activity.last_at, activity.unsaved_since()) == (begin + 6, begin + 3)


def test_a_task_pauses_every_hundredth_of_a_second_or_two_and_closes_what_it_does_not_end() -> None:
    clock = FakeClock()
    ended: list[str] = []

    def steps() -> Iterable[None]:
        try:
            for _ in range(1_000):
                clock.advance(0.001)
                yield
        finally:
            ended.append("closed")

    async def course() -> None:
        begin = clock.monotonic()
        pauses = [now async for now in turns(steps(), clock=clock)]
        assert 30 <= len(pauses) <= 100
        assert pauses[0] - begin == pytest.approx(pauses[1] - pauses[0], abs=0.002)
        assert ended == ["closed"]
        async for _ in (broken_off := turns(steps(), clock=clock)):
            break
        await broken_off.aclose()
        assert ended == ["closed", "closed"]

    asyncio.run(course())


# ---------------------------------------------------------------- waits for a slow broker


class Slow(Outlet):
    """Commits when its gate is open."""

    gate: asyncio.Event

    async def commit(self, outputs: Any, offsets: Any) -> Any:
        await self.gate.wait()
        return await super().commit(outputs, offsets)


def test_a_task_with_much_to_emit_waits_for_its_checkpoint_and_one_with_little_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.engine.engine.PENDING_MAX", 5)

    async def course() -> None:
        broker = Broker()
        Slow.gate = asyncio.Event()
        consumer = Consumer({FIRST})
        tasks = Engine(
            membership=lambda: consumer, make=lambda tp: (Work(broker, tp), Slow(broker)), clock=broker.clock
        )
        await tasks.handle(batch(FIRST, 0, 3))
        await tasks.handle(batch(FIRST, 3, 5))
        await tasks.handle(batch(FIRST, 8, 1))
        assert tasks.tasks[FIRST].position == 9, "five may wait"
        waiting = asyncio.create_task(tasks.handle(batch(FIRST, 9, 1)))
        await settled()
        assert tasks.tasks[FIRST].position == 9
        Slow.gate.set()
        await waiting
        await settled()
        await beat(tasks)
        assert committed(broker) == list(range(10))

    asyncio.run(course())


def test_a_batch_of_no_partition_of_ours_is_not_taken() -> None:
    async def course() -> None:
        broker = Broker()
        tasks, consumer = engine(broker)
        await tasks.handle(Batch(FIRST, 0, batch(FIRST, 0, 3).records))
        assert not tasks.tasks
        assert not consumer.sought
        assert not broker.opened

    asyncio.run(course())
