"""The roles of a worker: their topics and task factories. A new role is a row in this table and a package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from faust.types import TP
from kafka.admin import NewTopic

from streams.actors.tasks import ActorTasks
from streams.clock import Clock
from streams.engine.task import Work
from streams.ingest.tasks import IngestTasks
from streams.kafka.partition_reader import StateReader
from streams.kafka.reachability import Answers
from streams.kafka.topics import (
    ACTORS,
    ACTORS_STATE,
    AUDITED_COUNTS,
    BY_ACTOR,
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
    """Objects that all tasks of a worker share."""

    state: StateReader
    budget: Budget
    partitions: dict[str, int]
    """log (one of truecount's own topics that a role reads) → its number of partitions"""
    roster: dict[str, int]
    """input topic → its number of partitions"""
    clock: Clock
    answers: Answers = field(default_factory=Answers)
    """whether the broker answers this worker"""


class TaskFactory(Protocol):
    """Opens the tasks of one role in one worker. What outlives a task is stored here."""

    def prepare(self) -> None:
        """Do slow preparations once. Called in a thread, before any task is opened."""
        ...

    def open(self, settings: Settings, tp: TP) -> Work:
        """Make the work of one partition. It must not block; the engine restores the work afterwards."""
        ...

    def follow(self, settings: Settings) -> None:
        """Use new settings from now on. Only live settings have changed (``streams.settings.live``)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role: a row of the table below."""

    name: str
    """persisted: a part of transactional ids, and the label ``role`` of metrics"""
    log: Topic | None
    """the topic that it reads; None for the inputs of the platform"""
    changelog: Topic | None
    """the topic of its state. The outputs of a checkpoint are delivered before its state"""
    aligned: tuple[Topic, ...] = ()
    """topics that it writes in the partition with the number that it reads; they have as many partitions as the log"""
    outputs: tuple[Topic, ...] = ()
    """other topics that it writes"""
    tasks: Callable[[Settings, Shared], TaskFactory]
    reopens: bool
    """whether its tasks are opened again when live settings change, so that they apply from a position of the log on"""

    def used(self, settings: Settings) -> bool:
        """Whether an installation has this role."""
        return self.log is None or self.log.used(settings)

    def reads(self, settings: Settings) -> list[str]:
        """The names of the topics that it reads."""
        return [each.topic for each in settings.inputs] if self.log is None else [self.log.name(settings)]

    def written(self, settings: Settings) -> list[Topic]:
        """Truecount's own topics that it writes in an installation."""
        return [topic for topic in self.topics() if topic != self.log and topic.used(settings)]

    def topics(self) -> tuple[Topic, ...]:
        """All of truecount's own topics that it can read or write."""
        inner = [topic for topic in (self.log, self.changelog) if topic is not None]
        return (*inner, *self.aligned, *self.outputs)

    def equal_partitions(self, settings: Settings) -> list[str]:
        """The names of the topics that must have the same number of partitions; none for a role of inputs."""
        if self.log is None:
            return []
        return [topic.name(settings) for topic in self.topics() if topic not in self.outputs]

    def task_id(self, tp: TP) -> str:
        """The name of a task in its transactional id, which fences an older owner of the task."""
        return f"{self.name}-{tp.topic}-{tp.partition}" if self.log is None else f"{self.name}-{tp.partition}"


INGEST = Role(
    name="ingest",
    log=None,
    changelog=INGEST_STATE,
    outputs=(BY_TARGET, BY_ACTOR, DEAD_LETTERS),
    tasks=lambda settings, shared: IngestTasks(
        settings,
        state=shared.state,
        partitions=shared.partitions,
        roster=shared.roster,
        clock=shared.clock,
        answers=shared.answers,
    ),
    reopens=False,
)
TARGETS = Role(
    name="targets",
    log=BY_TARGET,
    changelog=TARGETS_STATE,
    aligned=(FLAGGED_EVENTS, CORRECTIONS, AUDITED_COUNTS, DEAD_LETTERS),
    outputs=(BY_ACTOR,),
    tasks=lambda _settings, shared: TargetTasks(
        state=shared.state, budget=shared.budget, partitions=shared.partitions, clock=shared.clock
    ),
    reopens=True,
)

ACTORS_ROLE = Role(
    name="actors",
    log=BY_ACTOR,
    changelog=ACTORS_STATE,
    aligned=(ACTORS, DEAD_LETTERS),
    outputs=(BY_TARGET,),
    tasks=lambda _settings, shared: ActorTasks(state=shared.state, partitions=shared.partitions, clock=shared.clock),
    reopens=True,
)

ROLES: dict[str, Role] = {role.name: role for role in (INGEST, TARGETS, ACTORS_ROLE)}
"""The table of all roles."""


def used_roles(settings: Settings) -> list[Role]:
    """The roles of an installation."""
    return [role for role in ROLES.values() if role.used(settings)]


def reader_of(settings: Settings, topic: str) -> Role:
    """The role that reads a topic."""
    return next(role for role in used_roles(settings) if topic in role.reads(settings))


def own_topics(settings: Settings) -> list[Topic]:
    """All of truecount's own topics in an installation, each once."""
    topics = dict.fromkeys(topic for role in used_roles(settings) for topic in role.topics())
    return [topic for topic in topics if topic.used(settings)]


def changelogs(settings: Settings) -> frozenset[str]:
    """The names of the topics of state."""
    return frozenset(role.changelog.name(settings) for role in used_roles(settings) if role.changelog is not None)


def plan(settings: Settings, *, inputs: bool) -> list[NewTopic]:
    """The topics of an installation, to be created. ``inputs``: with the input topics."""
    planned = [topic.planned(settings) for topic in own_topics(settings)]
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
