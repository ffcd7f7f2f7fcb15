"""What the engine shows: failures of a task in a row, and the time from a record to its commit."""

from __future__ import annotations

import asyncio

from streams.engine import engine as engines
from streams.engine.outlet import OutletError
from streams.metrics import REGISTRY
from tests.streams.engine.pretended import FIRST, Broker, batch, engine, settled

TASK = {"role": "targets", "topic": FIRST.topic, "partition": str(FIRST.partition)}


def in_a_row() -> float | None:
    return REGISTRY.get_sample_value("truecount_task_failures_in_a_row", TASK)


def value(name: str) -> float:
    return REGISTRY.get_sample_value(name, {"role": "targets"}) or 0.0


def test_a_task_that_fails_at_one_position_is_shown_until_it_gets_past_it() -> None:
    async def course() -> list[float | None]:
        broker = Broker()
        tasks, consumer = engine(broker, FIRST)
        shown = []
        for _ in range(3):
            broker.errors = [OutletError("fenced")]
            await tasks.handle(batch(FIRST, 0, 10))
            await settled()
            tasks.heartbeat()  # it drops the task that failed, and opens the next one
            await settled()
            broker.clock.advance(engines.REOPEN_PAUSE_SECONDS)
            shown.append(in_a_row())
        await tasks.handle(batch(FIRST, 0, 10))
        await settled()
        tasks.heartbeat()
        await settled()
        shown.append(in_a_row())
        consumer.assigned.clear()
        tasks.heartbeat()
        await settled()
        return [*shown, in_a_row()]

    before = value("truecount_task_failures_total")
    assert asyncio.run(course()) == [1, 2, 3, 0, None]
    assert value("truecount_task_failures_total") == before + 3


def test_the_time_of_a_commit_is_that_since_the_oldest_record_of_the_checkpoint() -> None:
    async def course() -> None:
        broker = Broker()
        tasks, _ = engine(broker, FIRST)
        broker.clock.advance(2.5)  # since the timestamp of the records
        await tasks.handle(batch(FIRST, 0, 10))
        await settled()

    name = "truecount_commit_latency_seconds"
    before = value(f"{name}_count"), value(f"{name}_sum")
    asyncio.run(course())
    assert (value(f"{name}_count") - before[0], round(value(f"{name}_sum") - before[1], 3)) == (1, 2.5)
