"""The task factory of the role targets."""

from __future__ import annotations

from collections.abc import Mapping

from faust.types import TP

from detectors.catalog.registry import prepare
from streams.clock import Clock
from streams.engine.failed_records import Failed
from streams.kafka.partition_reader import StateReader
from streams.kafka.topics import BY_ACTOR
from streams.settings.settings import Settings
from streams.state.keyed import Budget
from streams.targets.work import Targets


class TargetTasks:
    """See TaskFactory. It keeps the failed records of each partition, because a task that failed is opened again."""

    def __init__(self, *, state: StateReader, budget: Budget, partitions: Mapping[str, int], clock: Clock) -> None:
        """``partitions`` are those of the logs, read when they are needed."""
        self._state = state
        self._budget = budget
        self._partitions = partitions
        self._clock = clock
        self._failed: dict[int, Failed] = {}

    def prepare(self) -> None:
        """See TaskFactory."""
        prepare()

    def open(self, settings: Settings, tp: TP) -> Targets:
        """See TaskFactory."""
        failed = self._failed.setdefault(tp.partition, {})
        return Targets(
            settings,
            tp,
            state=self._state,
            budget=self._budget,
            failed=failed,
            actor_partitions=self._partitions[BY_ACTOR.name(settings)] if settings.actors.enabled else 0,
            clock=self._clock,
        )

    def follow(self, settings: Settings) -> None:
        """See TaskFactory. Tasks are opened again with the new settings, so there is nothing to change."""
