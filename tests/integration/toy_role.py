"""A whole role in a page, and truecount with it: ``python -m tests.integration.toy_role worker --roles toy``.

It copies the records of a log of its own and keeps its position in a changelog of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from faust.types import TP

from streams.cli import main
from streams.engine.outlet import Delivered, Output
from streams.kafka.partition_reader import StateReader
from streams.kafka.topics import Topic
from streams.kafka.transport import Batch
from streams.roles import ROLES, Role
from streams.settings.settings import Settings

PARTITIONS = 3
"""As many as no other topic has."""


def partitions(_settings: Settings) -> int:
    """The number of partitions of the log, and of what is aligned with it."""
    return PARTITIONS


BY_TOY = Topic("by-toy", retention="retained", partitions=partitions)
TOY_STATE = Topic("toy-state", retention="newest", partitions=partitions)
COPIES = Topic("copies", retention="always", partitions=partitions)


class Copying:
    """See Work."""

    role = "toy"
    every_seconds = 0.2

    def __init__(self, settings: Settings, tp: TP, state: StateReader) -> None:
        self._settings, self._partition, self._state = settings, tp.partition, state
        self._outputs: list[Output] = []

    async def restore(self) -> int:
        """See Work."""
        position = 0
        async for _, value in self._state.read(TOY_STATE.name(self._settings), self._partition):
            position = int(value or 0)
        return position

    def take(self, batch: Batch, records: list[Any]) -> Iterable[None]:
        """See Work."""
        topic = COPIES.name(self._settings)
        self._outputs += [Output(topic, self._partition, None, record.value) for record in records]
        return ()

    def heartbeat(self, now_ms: int, at_end: bool) -> None:
        """See Work."""

    def pending(self) -> int:
        """See Work."""
        return len(self._outputs)

    def urgent(self) -> bool:
        """See Work."""
        return False

    def cut(self, position: int) -> list[Output]:
        """See Work."""
        outputs, self._outputs = self._outputs, []
        return [*outputs, Output(TOY_STATE.name(self._settings), self._partition, b"position", b"%d" % position)]

    def stored(self, delivered: Delivered) -> Iterable[None]:
        """See Work."""
        return ()

    def close(self) -> None:
        """See Work."""


class ToyTasks:
    """See TaskFactory."""

    def __init__(self, state: StateReader) -> None:
        self._state = state

    def prepare(self) -> None:
        """See TaskFactory."""

    def open(self, settings: Settings, tp: TP) -> Copying:
        """See TaskFactory."""
        return Copying(settings, tp, self._state)

    def follow(self, settings: Settings) -> None:
        """See TaskFactory."""


TOY = Role(
    name="toy",
    log=BY_TOY,
    changelog=TOY_STATE,
    aligned=(COPIES,),
    tasks=lambda _settings, shared: ToyTasks(shared.state),
    reopens=True,
)

if __name__ == "__main__":
    ROLES[TOY.name] = TOY
    main()
