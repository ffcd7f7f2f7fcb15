"""Work that raises where nobody expects it: the task starts again from its last checkpoint, and the log says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.engine.engine import REOPEN_PAUSE_SECONDS
from streams.engine.outlet import Delivered, Output
from streams.kafka.transport import Batch
from tests.streams.engine.pretended import FIRST, Broker, Work, batch, committed, engine, settled


class FaultyWork(Work):
    """Raises once, in the method that ``faulty`` names."""

    faulty = ""

    def _raise_in(self, method: str) -> None:
        if type(self).faulty == method:
            type(self).faulty = ""
            raise RuntimeError(f"a fault in {method}")

    async def restore(self) -> int:
        self._raise_in("restore")
        return await super().restore()

    def take(self, batch: Batch, records: list[Any]) -> Iterable[None]:
        self._raise_in("take")
        return super().take(batch, records)

    def heartbeat(self, now_ms: int, at_end: bool) -> None:
        self._raise_in("heartbeat")

    def pending(self) -> int:
        self._raise_in("pending")
        return super().pending()

    def urgent(self) -> bool:
        self._raise_in("urgent")
        return super().urgent()

    def cut(self, position: int) -> list[Output]:
        outputs = super().cut(position)  # what it changes before it raises is lost with the task
        self._raise_in("cut")
        return outputs

    def stored(self, delivered: Delivered) -> Iterable[None]:
        self._raise_in("stored")
        return super().stored(delivered)


SENTENCES = {
    "restore": "a task could not be opened; it will be tried again",
    "take": "a batch could not be taken; the task starts again",
    "heartbeat": "a heartbeat failed; the task starts again",
    "pending": "a batch could not be taken; the task starts again",
    "urgent": "a batch could not be taken; the task starts again",
    "cut": "checkpoint failed; the task starts again from its last one",
    "stored": "state could not be stored; the task starts again",
}


@pytest.mark.parametrize("method", SENTENCES)
def test_a_fault_restarts_the_task_from_its_last_checkpoint_and_is_logged(method: str) -> None:
    async def course() -> Broker:
        broker = Broker()
        FaultyWork.faulty = "restore" if method == "restore" else ""
        tasks, consumer = engine(broker, FIRST, make_work=FaultyWork)
        if method != "restore":
            await tasks.handle(batch(FIRST, 0, 10))
            await settled()
            assert broker.committed[FIRST] == 10
            FaultyWork.faulty = method
        with capture_logs() as logs:
            await tasks.handle(batch(FIRST, 10, 10))
            tasks.heartbeat()
            await settled()
        assert FaultyWork.faulty == ""
        assert SENTENCES[method] in [line["event"] for line in logs]
        broker.clock.advance(REOPEN_PAUSE_SECONDS)
        tasks.heartbeat()
        await settled()
        position = tasks.tasks[FIRST].position
        assert consumer.sought[-1] == (FIRST, position), "the records since are asked for"
        assert position == broker.committed.get(FIRST, 0)
        await tasks.handle(batch(FIRST, position, 25 - position))
        await settled()
        return broker

    broker = asyncio.run(course())
    assert committed(broker) == list(range(25)), "each record once"
    assert broker.committed[FIRST] == 25


@pytest.mark.parametrize("method", ["take", "cut", "heartbeat"])
def test_work_that_raises_again_and_again_is_opened_once_in_a_pause(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: Any) -> Any:
        raise RuntimeError("always")

    monkeypatch.setattr(FaultyWork, method, fault)

    async def course(end: Callable[[], Any]) -> None:
        broker = Broker()
        tasks, _ = engine(broker, FIRST, make_work=FaultyWork)
        for _ in range(5):
            await tasks.handle(batch(FIRST, 0, 10))
            tasks.heartbeat()
            await settled()
        assert len(broker.opened) == 1
        broker.clock.advance(REOPEN_PAUSE_SECONDS)
        end()
        await tasks.handle(batch(FIRST, 0, 10))
        await settled()
        assert broker.committed[FIRST] == 10, "and it goes on when the fault has gone"

    asyncio.run(course(monkeypatch.undo))
