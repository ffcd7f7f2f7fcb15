"""Tasks on a consumer and a broker that are only pretended: what fails is thrown away, and nothing is taken twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from faust.types import TP

from streams.engine import checkpoints
from streams.engine import engine as engines
from streams.engine.engine import Engine
from streams.engine.outlet import OutletError, Output
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


def test_whatever_a_checkpoint_dies_of_its_records_are_taken_again_and_once() -> None:
    async def course(error: Exception) -> tuple[Broker, Consumer, Engine]:
        broker = Broker()
        tasks, consumer = engine(broker, FIRST)
        await tasks.handle(batch(FIRST, 0, 10))
        await settled()
        broker.errors = [error]
        await tasks.handle(batch(FIRST, 10, 10))
        await settled()
        assert FIRST in tasks.activity.unsaved
        assert consumer.sought[-1] == (FIRST, 10)
        broker.clock.advance(engines.REOPEN_PAUSE_SECONDS)
        await tasks.handle(batch(FIRST, 20, 5))
        assert consumer.sought[-1] == (FIRST, 10), "what was fetched before the seek is not taken for what follows"
        await tasks.handle(batch(FIRST, 10, 15))
        await settled()
        return broker, consumer, tasks

    for error in (OutletError("fenced"), RuntimeError("nobody thought of this one")):
        broker, _, tasks = asyncio.run(course(error))
        assert committed(broker) == list(range(25))
        assert broker.committed[FIRST] == 25
        assert not tasks.activity.unsaved


def test_a_checkpoint_is_brought_forward_for_what_somebody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Work, "every_seconds", 600.0)

    async def course() -> None:
        broker = Broker()
        tasks, _ = engine(broker, FIRST)
        await tasks.handle(batch(FIRST, 0, 7))
        broker.clock.advance(checkpoints.URGENT_SECONDS)
        tasks.heartbeat()
        await settled()
        assert committed(broker) == [], "nobody waits for these"
        await tasks.handle(batch(FIRST, 7, 1))
        await settled()
        assert committed(broker) == list(range(8))
        await tasks.handle(batch(FIRST, 8, 4))
        broker.clock.advance(590)
        tasks.heartbeat()
        await settled()
        assert committed(broker) == list(range(8))
        broker.clock.advance(10)
        tasks.heartbeat()
        await settled()
        assert committed(broker) == list(range(12)), "its time has come"

    asyncio.run(course())


def test_a_task_that_is_behind_takes_more_records_for_a_checkpoint_and_not_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Work, "every_seconds", 0.5)

    async def course() -> None:
        broker = Broker()
        broker.committed[FIRST] = 100
        tasks, consumer = engine(broker, FIRST)
        consumer.end = 1100
        tasks.heartbeat()
        await settled()
        broker.clock.advance(0.6)
        await tasks.handle(batch(FIRST, 100, 100))
        await settled()
        assert committed(broker) == [], "900 are left, and 100 were taken"
        broker.clock.advance(0.6)
        await tasks.handle(batch(FIRST, 200, 400))
        await settled()
        assert committed(broker) == list(range(100, 600)), "500 are left, and 500 were taken"
        await tasks.handle(batch(FIRST, 600, 10))
        broker.clock.advance(checkpoints.BEHIND_SECONDS - 0.5)
        tasks.heartbeat()
        await settled()
        assert committed(broker) == list(range(100, 600))
        broker.clock.advance(0.5)
        tasks.heartbeat()
        await settled()
        assert committed(broker) == list(range(100, 610)), "however far behind it is"
        await tasks.handle(batch(FIRST, 610, 1))
        broker.clock.advance(0.5)
        consumer.end = 612
        tasks.heartbeat()
        await settled()
        assert committed(broker) == list(range(100, 611)), "it has caught up"

    asyncio.run(course())


def test_a_task_that_is_behind_does_not_put_off_what_somebody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Work, "every_seconds", 0.5)

    async def course() -> None:
        broker = Broker()
        tasks, consumer = engine(broker, FIRST)
        consumer.end = 1000
        broker.clock.advance(0.5)
        await tasks.handle(batch(FIRST, 0, 8))
        broker.clock.advance(0.5)
        tasks.heartbeat()
        await settled()
        assert committed(broker) == list(range(8))

    asyncio.run(course())


def test_a_long_restore_holds_up_no_other_partition() -> None:
    async def course() -> None:
        broker = Broker()
        broker.gates[FIRST] = asyncio.Event()
        tasks, _ = engine(broker, FIRST, SECOND)
        tasks.heartbeat()
        await settled()
        assert set(broker.opened) == {FIRST, SECOND}
        assert set(tasks.tasks) == {SECOND}
        assert tasks.behind(), "a partition that is not restored is something to do"
        tasks.heartbeat()
        await settled()
        assert broker.opened.count(FIRST) == 1, "it is being opened already"
        broker.gates[FIRST].set()
        await settled()
        assert set(tasks.tasks) == {FIRST, SECOND}
        assert not tasks.behind()

    asyncio.run(course())


def test_what_a_stop_could_not_end_in_time_does_not_go_on() -> None:
    async def course() -> None:
        broker = Broker()
        tasks, _ = engine(broker, FIRST)
        await tasks.handle(batch(FIRST, 0, 10))
        work = tasks.tasks[FIRST].work
        tasks.abandon()
        assert work.closed  # type: ignore[attr-defined]  # it is the pretended one
        assert not tasks.tasks
        await settled()
        await tasks.handle(batch(FIRST, 0, 10))
        await settled()
        assert sorted(set(committed(broker))) == list(range(10))

    asyncio.run(course())


def test_a_partition_that_is_taken_away_is_checkpointed_and_closed() -> None:
    async def course() -> None:
        broker = Broker()
        tasks, consumer = engine(broker, FIRST)
        await tasks.handle(batch(FIRST, 0, 10))
        await tasks.handle(batch(FIRST, 10, 10))
        await tasks.release([FIRST])
        assert broker.committed[FIRST] == 20
        assert committed(broker) == list(range(20))
        consumer.assigned = set()
        tasks.heartbeat()
        await settled()
        assert not tasks.tasks

    asyncio.run(course())


class SlowWork(Work):
    """Passes records on after as many steps as it takes until it is told to get on."""

    def __init__(self, broker: Broker, tp: TP) -> None:
        super().__init__(broker, tp)
        self.slow = True
        self.halves = 0

    def take(self, batch: Batch, records: list[Any]) -> Iterable[None]:
        self.halves += 1
        while self.slow:
            self._broker.clock.advance(0.003)
            yield
        super().take(batch, records)
        self.halves -= 1

    def cut(self, position: int) -> list[Output]:
        assert not self.halves, "half of a batch was in it"
        return super().cut(position)


def slow_engine(broker: Broker) -> tuple[Engine, Consumer]:
    consumer = Consumer({FIRST, SECOND})

    def make(tp: TP) -> tuple[Any, Any]:
        return SlowWork(broker, tp) if tp == FIRST else Work(broker, tp), Outlet(broker)

    return Engine(membership=lambda: consumer, make=make, clock=broker.clock), consumer


def test_what_one_task_has_much_of_to_say_is_out_before_the_next_task_takes_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoints, "PENDING_MAX", 5)

    async def course() -> None:
        broker = Broker()
        tasks, _ = engine(broker, FIRST, SECOND)
        await tasks.handle(batch(FIRST, 0, 3))
        assert not broker.committed, "a little may wait"
        await tasks.handle(batch(SECOND, 0, 6))
        assert broker.committed[SECOND] == 6

    asyncio.run(course())


async def slow_work(tasks: Engine) -> Any:
    tasks.heartbeat()
    await settled()
    return tasks.tasks[FIRST].work


def test_while_a_task_takes_long_the_others_are_checked_and_commit() -> None:
    async def course() -> None:
        broker = Broker()
        tasks, _ = slow_engine(broker)
        work = await slow_work(tasks)
        work.slow = False
        await tasks.handle(batch(FIRST, 0, 10))
        assert tasks.tasks[FIRST].running is not None, "its checkpoint is under way when the next batch comes"
        work.slow = True
        closing = asyncio.create_task(tasks.handle(batch(FIRST, 10, 10)))
        await settled()
        taken_at = tasks.activity.last_at
        await tasks.handle(batch(SECOND, 0, 7))
        tasks.heartbeat()
        await settled()
        assert broker.committed == {FIRST: 10, SECOND: 7}
        assert not closing.done()
        assert tasks.activity.last_at > taken_at, "its steps are progress"
        work.slow = False
        await closing
        await settled()
        assert broker.committed[FIRST] == 20
        assert not tasks.activity.unsaved

    asyncio.run(course())


def test_a_partition_that_goes_while_its_task_takes_long_is_given_up_and_taken_again() -> None:
    async def course() -> None:
        broker = Broker()
        tasks, consumer = slow_engine(broker)
        work = await slow_work(tasks)
        closing = asyncio.create_task(tasks.handle(batch(FIRST, 0, 10)))
        await settled()
        consumer.assigned = {SECOND}
        await tasks.release([FIRST])
        assert closing.done()
        assert work.closed
        assert not broker.outputs
        consumer.assigned = {FIRST}
        (await slow_work(tasks)).slow = False
        await tasks.handle(batch(FIRST, 0, 10))
        await settled()
        assert committed(broker) == list(range(10))

    asyncio.run(course())


def test_an_agent_that_is_cancelled_while_its_task_takes_long_leaves_no_half_batch() -> None:
    async def course() -> None:
        broker = Broker()
        tasks, _ = slow_engine(broker)
        await slow_work(tasks)
        closing = asyncio.create_task(tasks.handle(batch(FIRST, 0, 10)))
        await settled()
        closing.cancel()
        await asyncio.wait({closing})
        await tasks.close()
        assert not broker.outputs

    asyncio.run(course())


def test_missed_records_are_read_again_and_records_that_the_broker_deleted_are_logged() -> None:
    async def course() -> None:
        broker = Broker()
        tasks, consumer = engine(broker, FIRST)
        lost = REGISTRY.get_sample_value
        labels = {"role": "targets", "topic": FIRST.topic}
        before = lost("truecount_deleted_records_total", labels) or 0.0
        await tasks.handle(batch(FIRST, 0, 3))
        await tasks.handle(batch(FIRST, 5, 3))
        assert consumer.sought[-1] == (FIRST, 3)
        sought = len(consumer.sought)
        await tasks.handle(batch(FIRST, 8, 3))
        await tasks.handle(batch(FIRST, 11, 3))
        assert len(consumer.sought) == sought, "what stood in line sends nobody back again"
        assert tasks.tasks[FIRST].position == 3
        tasks.tasks[FIRST].gap = None
        await tasks.handle(batch(FIRST, 5, 3))
        consumer.first = 4  # all but the one before the next chunk
        await tasks.handle(batch(FIRST, 5, 3))
        assert consumer.sought[-1] == (FIRST, 4), "the fourth is still there"
        await tasks.handle(batch(FIRST, 4, 3))
        assert tasks.tasks[FIRST].position == 7
        assert lost("truecount_deleted_records_total", labels) == before + 1
        consumer.first = 9
        await tasks.handle(batch(FIRST, 9, 2))
        await tasks.handle(batch(FIRST, 9, 2))
        assert tasks.tasks[FIRST].position == 11, "nothing would come of asking again"
        assert lost("truecount_deleted_records_total", labels) == before + 3
        consumer.first = 12
        await tasks.handle(batch(FIRST, 12, 2))
        broker.clock.advance(60)
        await tasks.handle(batch(FIRST, 12, 2))
        assert tasks.tasks[FIRST].position == 14, "asked too where batches come seldom"

    asyncio.run(course())
