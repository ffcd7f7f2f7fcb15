"""A consumer and a broker that are only pretended, and work that passes records on: for tests of the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from aiokafka.structs import TopicPartition
from faust.types import TP

from streams.clock import FakeClock
from streams.engine.engine import Engine
from streams.engine.outlet import Delivered, Output
from streams.kafka.transport import Batch

FIRST, SECOND = TP("log", 0), TP("log", 1)


class Broker:
    """What a partition's tasks have committed, and what goes wrong with it."""

    def __init__(self) -> None:
        self.committed: dict[TP, int] = {}
        self.outputs: list[Output] = []
        self.errors: list[Exception] = []
        self.opened: list[TP] = []
        self.gates: dict[TP, asyncio.Event] = {}
        self.clock = FakeClock()


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

    def heartbeat(self, now_ms: int, at_end: bool) -> None:
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
    """Commits to the broker that is pretended, or fails with its next error."""

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
    """Knows what is assigned, and notes what is sought."""

    def __init__(self, assigned: set[TP]) -> None:
        self.assigned = assigned
        self.sought: list[tuple[TP, int]] = []
        self.first = 0
        """what the broker still has"""
        self.end = 0
        """the offset after the last record that it has; 0: nothing is left to read"""

    def assignment(self) -> Iterable[TP]:
        return self.assigned

    async def seek(self, partition: TP, offset: int) -> None:
        self.sought.append((partition, offset))

    async def beginning(self, tp: TP) -> int:
        return self.first

    def remaining(self, tp: TP, position: int) -> int | None:
        return max(0, self.end - position)


def batch(tp: TP, start: int, count: int) -> Batch:
    """Records whose values are their offsets."""
    records = [
        SimpleNamespace(offset=start + n, timestamp=1_700_000_000_000, value=b"%d" % (start + n)) for n in range(count)
    ]
    return Batch(tp, start, records)


def engine(broker: Broker, *assigned: TP, make_work: type[Work] | None = None) -> tuple[Engine, Consumer]:
    """An engine with these partitions, and its consumer."""
    consumer = Consumer(set(assigned))

    def make(tp: TP) -> tuple[Any, Any]:
        return (make_work or Work)(broker, tp), Outlet(broker)

    return Engine(membership=lambda: consumer, make=make, clock=broker.clock), consumer


async def settled() -> None:
    """Let everything that can run, run."""
    for _ in range(20):
        await asyncio.sleep(0)


def committed(broker: Broker) -> list[int]:
    """The offsets of the records that were passed on, in order."""
    return [int(output.value or b"") for output in broker.outputs]
