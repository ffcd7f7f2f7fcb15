"""Tasks of the role targets on logs in memory, and faults to put into them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faust.types import TP

from detectors.events.event import Event
from streams.clock import FakeClock
from streams.engine.outlet import Output
from streams.kafka.transport import Batch
from streams.targets.work import Targets
from tests.crowds import START_MS
from tests.streams.pipeline import Pipeline
from tests.streams.state.test_disk import Plant, Record
from tests.streams.targets.test_work import Samples, samples


class Task(Plant):
    """A task on a log of these values."""

    def __init__(self, directory: Path, values: list[bytes], **options: Any) -> None:
        super().__init__(directory, budget_bytes=1 << 30)
        self.kafka.logs[self.topics.by_target] = [Record(at, None, value) for at, value in enumerate(values)]
        self.options = options

    def open(self) -> Targets:
        tp, reader = TP(self.topics.by_target, 0), self.kafka
        self.task = Targets(self.settings, tp, state=reader, budget=self.budget, clock=FakeClock(), **self.options)  # type: ignore[arg-type]  # it reads as a StateReader does
        self.position = asyncio.run(self.task.restore())
        return self.task

    def taking(self, until: int) -> Iterator[None]:
        """The steps of one batch."""
        task = self.task or self.open()
        records = self.kafka.log(self.topics.by_target)[self.position : until]
        start, self.position = self.position, until
        yield from task.take(Batch(TP(self.topics.by_target, 0), start, records), records)

    def take(self, until: int) -> dict[str, float]:
        """Take one batch; by how much each metric without labels moved."""
        before = samples()
        list(self.taking(until))
        return {
            name: value - before.get((name, labels), 0.0) for (name, labels), value in samples().items() if not labels
        }

    def cut(self) -> list[Output]:
        """The outputs of a checkpoint, which is committed and stored."""
        assert self.task is not None
        outputs = list(self.task.cut(self.position))
        list(self.task.stored(self.kafka.append(outputs)))
        return outputs


def moved(before: Samples, name: str, **labels: str) -> float:
    """By how much a metric has moved since."""
    key = f"truecount_{name}", tuple(sorted(labels.items()))
    return samples().get(key, 0.0) - before.get(key, 0.0)


def fault(*_: Any, **__: Any) -> Any:
    """Stands for a method that has a fault."""
    raise RuntimeError("a fault")


def frames(events: list[Event], *, batch: int = 2) -> list[bytes]:
    """A log of these events without an end of time."""
    pipe = Pipeline()
    pipe.play(events, batch=batch)
    return list(pipe.logs[0])


def views(count: int, *, targets: int = 1) -> list[Event]:
    return [Event(ts=START_MS + n, actor=f"a{n}", target=f"v{n % targets}") for n in range(count)]
