"""The task factory of the role actors."""

from __future__ import annotations

from collections.abc import Mapping

from faust.types import TP

from streams.actors.work import Actors
from streams.clock import Clock
from streams.engine.failed_records import Failed
from streams.kafka.partition_reader import StateReader
from streams.kafka.topics import BY_TARGET
from streams.settings.settings import Settings


class ActorTasks:
    """See TaskFactory. It keeps the failed records of each partition, because a task that failed is opened again."""

    def __init__(self, *, state: StateReader, partitions: Mapping[str, int], clock: Clock) -> None:
        """``partitions`` are those of the logs, read when they are needed."""
        self._state = state
        self._partitions = partitions
        self._clock = clock
        self._failed: dict[int, Failed] = {}

    def prepare(self) -> None:
        """See TaskFactory. There is nothing to prepare."""

    def open(self, settings: Settings, tp: TP) -> Actors:
        """See TaskFactory."""
        return Actors(
            settings,
            tp,
            target_partitions=self._partitions[BY_TARGET.name(settings)],
            state=self._state,
            failed=self._failed.setdefault(tp.partition, {}),
            clock=self._clock,
        )

    def follow(self, settings: Settings) -> None:
        """See TaskFactory. Tasks are opened again with the new settings, so there is nothing to change."""
