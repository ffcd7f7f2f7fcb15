"""The task factory of the role ingest."""

from __future__ import annotations

from collections.abc import Mapping

from faust.types import TP

from streams.clock import Clock
from streams.ingest.rules.tagging import Tagger
from streams.ingest.work import Ingest
from streams.kafka.partition_reader import StateReader
from streams.kafka.reachability import Answers
from streams.kafka.topics import BY_ACTOR, BY_TARGET
from streams.settings.settings import Settings


class IngestTasks:
    """See TaskFactory. The tasks of a worker share one tagger: its lists of robots are large."""

    def __init__(
        self,
        settings: Settings,
        *,
        state: StateReader,
        partitions: Mapping[str, int],
        roster: dict[str, int],
        clock: Clock,
        answers: Answers,
    ) -> None:
        """``partitions`` are those of the logs, ``roster`` those of the inputs; both are read when they are needed."""
        self._answers = answers
        self._state = state
        self._partitions = partitions
        self._roster = roster
        self._clock = clock
        self._tagger = Tagger(settings.rules)

    def prepare(self) -> None:
        """See TaskFactory. There is nothing to prepare."""

    def open(self, settings: Settings, tp: TP) -> Ingest:
        """See TaskFactory."""
        return Ingest(
            settings,
            tp,
            partitions=self._partitions[BY_TARGET.name(settings)],
            actor_partitions=self._partitions[BY_ACTOR.name(settings)] if settings.actors.enabled else 0,
            roster=self._roster,
            state=self._state,
            tagger=self._tagger,
            clock=self._clock,
            answers=self._answers,
        )

    def follow(self, settings: Settings) -> None:
        """See TaskFactory. Open tasks use the same tagger."""
        self._tagger.follow(settings.rules)
