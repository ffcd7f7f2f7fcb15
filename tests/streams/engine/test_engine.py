"""Tasks on a consumer and a broker that are only pretended: what fails is thrown away, and nothing is taken twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition
from faust.types import TP

from streams.engine import engine as engines
from streams.engine.engine import Engine
from streams.engine.outlet import Delivered, OutletError, Output
from streams.kafka.transport import Batch
from streams.metrics import REGISTRY

FIRST, SECOND = TP("log", 0), TP("log", 1)


class Broker:
    """What a partition's tasks have committed, and what goes wrong with it."""

    def __init__(self) -> None:
        self.committed: dict[TP, int] = {}
        self.outputs: list[Output] = []
        self.errors: list[Exception] = []
        self.opened: list[TP] = []
        self.gates: dict[TP, asyncio.Event] = {}


class Work:
    """Passes records on."""

    role = "targets"
    every_seconds = 0.0

    def __init__(self, broker: Broker, tp: TP) -> None:
        self._broker, self._tp = broker, tp
        self._outputs: list[Output] = []
        self.closed = False

    async def restore(self) -> int:
        self._broker.opened.append(self._tp)
        if self._tp in self._broker.gates:
            await self._broker.gates[self._tp].wait()
        return self._broker.committed.get(self._tp, 0)

    def take(self, batch: Batch, records: list[Any]) -> Iterable[None]:
        self._outputs += [Output("out", 0, None, record.value) for record in records]
        return ()

    def heartbeat(self, now: float, at_end: bool) -> None:
        pass

    def pending(self) -> int:
        return len(self._outputs)

    def urgent(self) -> bool:
        return any(output.value == b"7" for output in self._outputs)

    def cut(self, position: int) -> list[Output]:
        outputs, self._outputs = self._outputs, []
        return outputs

    def stored(self, delivered: Delivered) -> Iterable[None]:
        return ()

    def close(self) -> None:
        self.closed = True


class Outlet:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def start(self) -> None:
        pass

    async def commit(self, outputs: list[Output], offsets: Mapping[TopicPartition, int]) -> Delivered:
        await asyncio.sleep(0)
        if self._broker.errors:
            raise self._broker.errors.pop()
        self._broker.outputs += outputs
        self._broker.committed |= {TP(tp.topic, tp.partition): offset for tp, offset in offsets.items()}
        return {}

    async def stop(self) -> None:
        pass


class Consumer:
    def __init__(self, assigned: set[TP]) -> None:
        self.assigned = assigned
        self.sought: list[tuple[TP, int]] = []
        self.first = 0
        """what the broker still has"""

    def assignment(self) -> Iterable[TP]:
        return self.assigned

    async def seek(self, partition: TP, offset: int) -> None:
        self.sought.append((partition, offset))

    async def beginning(self, tp: TP) -> int:
        return self.first

    def remaining(self, tp: TP, position: int) -> int | None:
        return 0


def batch(tp: TP, start: int, count: int) -> Batch:
    records = [SimpleNamespace(offset=start + n, value=b"%d" % (start + n)) for n in range(count)]
    return Batch(tp, start, records)


def engine(broker: Broker, *assigned: TP) -> tuple[Engine, Consumer]:
    consumer = Consumer(set(assigned))

    def make(tp: TP) -> tuple[Any, Any]:
        return Work(broker, tp), Outlet(broker)

    return Engine(membership=lambda: consumer, make=make), consumer


async def settled() -> None:
    """Let everything that can run, run."""
    for _ in range(20):
        await asyncio.sleep(0)


def said(broker: Broker) -> list[int]:
    return [int(output.value or b"") for output in broker.outputs]


def test_whatever_a_checkpoint_dies_of_its_records_are_taken_again_and_once() -> None:
    async def course(error: Exception) -> tuple[Broker, Consumer, Engine]:
        broker = Broker()
        tasks, consumer = engine(broker, FIRST)
        await tasks.handle(batch(FIRST, 0, 10))
        await settled()
        broker.errors = [error]
        await tasks.handle(batch(FIRST, 10, 10))
        await settled()
        assert FIRST in tasks.unsaved
        assert consumer.sought[-1] == (FIRST, 10)
        await tasks.handle(batch(FIRST, 20, 5))
        assert consumer.sought[-1] == (FIRST, 10), "what was fetched before the seek is not taken for what follows"
        await tasks.handle(batch(FIRST, 10, 15))
        await settled()
        return broker, consumer, tasks

    for error in (OutletError("fenced"), RuntimeError("nobody thought of this one")):
        broker, _, tasks = asyncio.run(course(error))
        assert said(broker) == list(range(25))
        assert broker.committed[FIRST] == 25
        assert not tasks.unsaved


def test_a_checkpoint_is_brought_forward_for_what_somebody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Work, "every_seconds", 600.0)
    monkeypatch.setattr(engines, "URGENT_SECONDS", 0.0)

    async def course() -> None:
        broker = Broker()
        tasks, _ = engine(broker, FIRST)
        await tasks.handle(batch(FIRST, 0, 7))
        await settled()
        assert said(broker) == []
        await tasks.handle(batch(FIRST, 7, 1))
        await settled()
        assert said(broker) == list(range(8))
        await tasks.handle(batch(FIRST, 8, 4))
        await settled()
        assert said(broker) == list(range(8))

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
        assert sorted(set(said(broker))) == list(range(10))

    asyncio.run(course())


def test_a_partition_that_is_taken_away_is_checkpointed_and_closed() -> None:
    async def course() -> None:
        broker = Broker()
        tasks, consumer = engine(broker, FIRST)
        await tasks.handle(batch(FIRST, 0, 10))
        await tasks.handle(batch(FIRST, 10, 10))
        await tasks.release([FIRST])
        assert broker.committed[FIRST] == 20
        assert said(broker) == list(range(20))
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
            time.sleep(0.003)
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

    return Engine(membership=lambda: consumer, make=make), consumer


def test_what_one_task_has_much_of_to_say_is_out_before_the_next_task_takes_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "PENDING_MAX", 5)

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


def test_while_a_task_takes_long_the_others_are_tended_and_commit() -> None:
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
        taken_at = tasks.last_taken
        await tasks.handle(batch(SECOND, 0, 7))
        tasks.heartbeat()
        await settled()
        assert broker.committed == {FIRST: 10, SECOND: 7}
        assert not closing.done()
        assert tasks.last_taken > taken_at, "its steps are progress"
        work.slow = False
        await closing
        await settled()
        assert broker.committed[FIRST] == 20
        assert not tasks.unsaved

    asyncio.run(course())


def test_a_partition_that_goes_while_its_task_takes_long_is_given_up_and_taken_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "GIVE_UP_SECONDS", 0.05)

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
        assert said(broker) == list(range(10))

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


def test_what_passed_a_task_by_is_asked_for_again_and_what_the_broker_has_deleted_is_told() -> None:
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
        gap = tasks.tasks[FIRST].gap
        assert gap is not None
        gap.sought_at -= 60.0
        await tasks.handle(batch(FIRST, 12, 2))
        assert tasks.tasks[FIRST].position == 14, "asked too where batches come seldom"

    asyncio.run(course())
