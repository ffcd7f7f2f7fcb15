"""The roles of a worker: what each reads and writes, and how it opens tasks. A new role is a row here and a package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from faust.types import TP
from kafka.admin import NewTopic

from streams.clock import Clock
from streams.engine.task import Work
from streams.ingest.tasks import IngestTasks
from streams.kafka.partition_reader import StateReader
from streams.kafka.topics import (
    AUDITED_COUNTS,
    BY_TARGET,
    CORRECTIONS,
    DEAD_LETTERS,
    FLAGGED_EVENTS,
    INGEST_STATE,
    TARGETS_STATE,
    Topic,
)
from streams.settings.settings import Settings
from streams.state.keyed import Budget
from streams.targets.tasks import TargetTasks


@dataclass(frozen=True, slots=True)
class Shared:
    """What all tasks of a worker share."""

    state: StateReader
    budget: Budget
    partitions: dict[str, int]
    """log (a topic of ours that a role reads) → how many partitions it has"""
    roster: dict[str, int]
    """input topic → how many partitions it has"""
    clock: Clock


class TaskFactory(Protocol):
    """Opens the tasks of one role in one worker, and keeps what outlives a task."""

    def prepare(self) -> None:
        """Do what is slow once. Called in a thread, before any task is opened."""
        ...

    def open(self, settings: Settings, tp: TP) -> Work:
        """Make the work of one partition. Must not block; the engine restores it afterwards."""
        ...

    def follow(self, settings: Settings) -> None:
        """Use other settings from now on. Only live ones have changed (``streams.settings.live``)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A row of the table."""

    name: str
    """persisted: a part of transactional ids, and the label ``role`` of metrics"""
    log: Topic | None
    """the topic that it reads, None for the inputs of the platform"""
    changelog: Topic | None
    """where its state is, None if it has none. Outputs of a checkpoint are delivered before it"""
    aligned: tuple[Topic, ...] = ()
    """what it writes into the partition of the number that it reads: as many partitions as the log"""
    outputs: tuple[Topic, ...] = ()
    """what else it writes"""
    tasks: Callable[[Settings, Shared], TaskFactory]
    reopens: bool
    """whether changed live settings take effect by opening its tasks anew, from a position of the log on"""

    def reads(self, settings: Settings) -> list[str]:
        """The names of the topics that it reads."""
        return [each.topic for each in settings.inputs] if self.log is None else [self.log.name(settings)]

    def topics(self) -> tuple[Topic, ...]:
        """All of truecount's own topics that it reads or writes."""
        inner = [topic for topic in (self.log, self.changelog) if topic is not None]
        return (*inner, *self.aligned, *self.outputs)

    def even(self, settings: Settings) -> list[str]:
        """The names of the topics that must have the same number of partitions; none for a role of inputs."""
        if self.log is None:
            return []
        return [topic.name(settings) for topic in self.topics() if topic not in self.outputs]

    def task_id(self, tp: TP) -> str:
        """Names one task of the role in transactional ids: an older owner is fenced by it."""
        return f"{self.name}-{tp.topic}-{tp.partition}" if self.log is None else f"{self.name}-{tp.partition}"


INGEST = Role(
    name="ingest",
    log=None,
    changelog=INGEST_STATE,
    outputs=(BY_TARGET, DEAD_LETTERS),
    tasks=lambda settings, shared: IngestTasks(
        settings, state=shared.state, partitions=shared.partitions, roster=shared.roster, clock=shared.clock
    ),
    reopens=False,
)
TARGETS = Role(
    name="targets",
    log=BY_TARGET,
    changelog=TARGETS_STATE,
    aligned=(FLAGGED_EVENTS, CORRECTIONS, AUDITED_COUNTS, DEAD_LETTERS),
    tasks=lambda _settings, shared: TargetTasks(state=shared.state, budget=shared.budget, clock=shared.clock),
    reopens=True,
)

ROLES: dict[str, Role] = {role.name: role for role in (INGEST, TARGETS)}
"""The table. Everything that concerns all roles goes over it."""


def reader_of(settings: Settings, topic: str) -> Role:
    """The role that reads a topic."""
    return next(role for role in ROLES.values() if topic in role.reads(settings))


def own_topics() -> list[Topic]:
    """Truecount's own topics, each once."""
    return list(dict.fromkeys(topic for role in ROLES.values() for topic in role.topics()))


def changelogs(settings: Settings) -> frozenset[str]:
    """The names of the topics of state."""
    return frozenset(role.changelog.name(settings) for role in ROLES.values() if role.changelog is not None)


def plan(settings: Settings, *, inputs: bool) -> list[NewTopic]:
    """The topics that an installation needs; with its inputs where nobody else creates them."""
    planned = [topic.planned(settings) for topic in own_topics()]
    if inputs:
        planned += [
            NewTopic(
                name=each.topic,
                num_partitions=settings.partitions,
                replication_factor=settings.broker.replication,
            )
            for each in settings.inputs
        ]
    return planned


def needed(settings: Settings) -> list[str]:
    """The names of all topics that must exist before a worker starts."""
    return [topic.name for topic in plan(settings, inputs=True)]
