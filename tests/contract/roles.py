"""Every role, and a partition that it works on: for the contract suite of ``Work``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from aiokafka.structs import TopicPartition
from faust.types import TP
from msgspec.structs import replace

from detectors.controls import Asked
from detectors.events.event import Event
from streams import metrics
from streams.actors.work import Actors
from streams.clock import FakeClock
from streams.engine.memory_topics import MemoryOutlet, MemoryRecord, MemoryTopics
from streams.engine.outlet import Delivered, Output
from streams.engine.task import Work
from streams.ingest.work import Ingest
from streams.kafka.topics import Topics
from streams.kafka.transport import Batch
from streams.log.controls import ControlSender, is_control
from streams.log.frames import encode
from streams.log.hashing import actor_hash
from streams.log.versions import decode
from streams.settings.settings import Input, Settings, State
from streams.state.keyed import Budget
from streams.targets.work import Targets
from tests.crowds import MINUTE_MS, START_MS, bought, in_order, ordinary
from tests.streams.pipeline import Pipeline

Emitted = dict[tuple[str, int], list[tuple[bytes | None, bytes | None, Any]]]
"""Topic and partition → key, value and headers of each record."""

INPUT = Input(topic="views", metric="view")
ROSTER = {INPUT.topic: 1}
MINUTES = 60
ALL = 1_000
"""More batches than there are."""
NOW_MS = START_MS + 2 * MINUTES * MINUTE_MS
PARTITIONS = 2
"""of the topics that ingest writes to"""
ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
BETWEEN_SECONDS = 10.0
"""Between two batches: longer than ingest lets a source's time follow the wall clock after its owner has changed."""


@dataclass(frozen=True)
class Opening:
    """What a role needs to make its work."""

    settings: Settings
    topics: MemoryTopics
    clock: FakeClock

    @property
    def reader(self) -> Any:
        """Stands for a StateReader."""
        return self.topics


@dataclass(frozen=True)
class Role:
    """A role of the suite: its work, the partition it works on, the topic of its state, and what it reads."""

    name: str
    make: Callable[[Opening], Work]
    tp: TP
    state_topic: str
    emits: frozenset[str]
    """topics that the suite's records must lead to"""
    values: Callable[[], Sequence[bytes]]
    per_batch: int


@cache
def _inputs() -> tuple[bytes, ...]:
    """Events with a bought burst as the records of an input, some of them no events."""
    crowds = in_order(
        ordinary(1, minutes=MINUTES, targets=12, ids=True),
        bought(2, "v3", begin=START_MS + (MINUTES - 12) * MINUTE_MS, minutes=5, ids=True),
    )
    values = [msgspec.json.encode(event) for event in crowds]
    values[100::500] = [b"{no json"] * len(values[100::500])
    return tuple(values)


@cache
def _frames() -> tuple[bytes, ...]:
    """The same events as a partition of the log, and one record that is no frame."""
    pipe = Pipeline()
    values = _inputs()
    for at in range(0, len(values), 30):
        pipe.send(values[at : at + 30])
    pipe.finish(NOW_MS)
    return (*pipe.logs[0][:20], b"no frame", *pipe.logs[0][20:])


@cache
def _actor_frames() -> tuple[bytes, ...]:
    """Events of robots and of programs as a partition of by-actor, with a question, and one record that is no frame."""
    pipe = Pipeline(actor_partitions=1)
    crowds = in_order(ordinary(1, minutes=MINUTES, targets=12), steady(2, minutes=MINUTES))
    values = [msgspec.json.encode(event) for event in crowds]
    for at in range(0, len(values), 60):
        pipe.send(values[at : at + 60])
    pipe.finish(NOW_MS)
    asked = Asked("case", "0v3", 0, -1, START_MS, START_MS + MINUTE_MS, START_MS + 20 * MINUTE_MS, [actor_hash("a")])
    (question,) = ControlSender("targets/0").frames([(0, asked)], position=7, now_ms=START_MS)
    log = pipe.actor_logs[0]
    return (*log[:9], b"no frame", question[1], *log[9:20], question[1], *log[20:])


def steady(seed: int, *, minutes: int) -> list[Event]:
    """Views of a declared robot: one every ten seconds, of one target after another."""
    return [
        Event(ts=START_MS + 10_000 * n, actor=f"robot-{seed}", target=f"v{n % 7}", user_agent=ROBOT)
        for n in range(6 * minutes)
    ]


def _actors(at: Opening) -> Work:
    tp = TP(TOPICS.by_actor, 0)
    return Actors(at.settings, tp, target_partitions=PARTITIONS, state=at.reader, clock=at.clock)


def _ingest(at: Opening) -> Work:
    tp = TP(INPUT.topic, 0)
    return Ingest(at.settings, tp, partitions=PARTITIONS, roster=ROSTER, state=at.reader, clock=at.clock)


def _targets(at: Opening) -> Work:
    tp = TP(TOPICS.by_target, 0)
    return Targets(at.settings, tp, state=at.reader, budget=Budget(1 << 30), clock=at.clock)


TOPICS = Topics.of(Settings(inputs=(INPUT,)))
INGEST = Role(
    name="ingest",
    make=_ingest,
    tp=TP(INPUT.topic, 0),
    state_topic=TOPICS.ingest_state,
    emits=frozenset({TOPICS.by_target, TOPICS.dead_letters}),
    values=_inputs,
    per_batch=250,
)
TARGETS = Role(
    name="targets",
    make=_targets,
    tp=TP(TOPICS.by_target, 0),
    state_topic=TOPICS.targets_state,
    emits=frozenset({TOPICS.flagged_events, TOPICS.corrections, TOPICS.audited_counts, TOPICS.dead_letters}),
    values=_frames,
    per_batch=10,
)
ACTORS = Role(
    name="actors",
    make=_actors,
    tp=TP(TOPICS.by_actor, 0),
    state_topic=TOPICS.actors_state,
    emits=frozenset({TOPICS.by_target, TOPICS.actors}),
    values=_actor_frames,
    per_batch=5,
)
ROLES = [INGEST, TARGETS, ACTORS]
"""A new role adds a line here."""


class Partition:
    """One partition of a role on topics in memory, driven as the engine drives it."""

    def __init__(self, role: Role, directory: Path) -> None:
        self.role = role
        self.clock = FakeClock(epoch_ms=NOW_MS)
        self.topics = MemoryTopics(clock=self.clock)
        self._directory = directory
        self._owners = 0
        self._disk = 0
        self.log = [MemoryRecord(at, None, value, (), NOW_MS) for at, value in enumerate(role.values())]
        if role.tp.topic in (TOPICS.by_target, TOPICS.by_actor):  # a restore reads a part of it again
            self.topics.commit(Output(*role.tp, None, value) for value in role.values())
        self.state_partition = 0
        self.work: Work
        self.position = 0

    @property
    def end(self) -> int:
        """The position after all records."""
        return len(self.log)

    def make(self) -> Work:
        """The work of a new owner, not restored."""
        state = State(directory=self._directory / str(self._disk), dedupe_ids=400)
        settings = Settings(inputs=(INPUT,), partitions=1, state=state)
        self.work = self.role.make(Opening(settings, self.topics, self.clock))
        return self.work

    def open(self) -> int:
        """A new owner restores; answers its position."""
        self._owners += 1
        self._outlet = MemoryOutlet(self.topics, "task")
        work = self.make()
        self.position = asyncio.run(self._restored(work))
        return self.position

    async def _restored(self, work: Work) -> int:
        await self._outlet.start()
        return await work.restore()

    def reopen(self, *, keep_disk: bool) -> int:
        """The owner goes, whatever is not committed is lost, and another one opens."""
        self.work.close()
        self._disk += not keep_disk
        return self.open()

    def close(self) -> None:
        """The end of the last owner, as the engine does it."""
        self.work.close()
        metrics.forget(self.work.role, *self.role.tp)

    def batch(self) -> Batch:
        """The next records."""
        return Batch(self.role.tp, self.position, self.log[self.position : self.position + self.role.per_batch])

    def take(self, batches: int = 1, *, between_seconds: float = BETWEEN_SECONDS) -> None:
        """Take batches, with a heartbeat after each and a pause before it."""
        for _ in range(batches):
            if self.position >= self.end:
                return
            self.clock.advance(between_seconds)
            batch = self.batch()
            for _step in self.work.take(batch, batch.records):
                pass
            self.position = batch.next
            self.work.heartbeat(self.clock.epoch_ms(), self.position == self.end)

    def cut(self) -> list[Output]:
        """The outputs of the next checkpoint, state included."""
        return list(self.work.cut(self.position))

    def commit(self, outputs: Sequence[Output]) -> Delivered:
        """Commit a checkpoint; the work does not know of it yet."""
        offsets = {TopicPartition(*self.role.tp): self.position}
        return asyncio.run(self._outlet.commit(outputs, offsets))

    def checkpoint(self) -> list[Output]:
        """Cut, commit and store; answers the outputs."""
        outputs = self.cut()
        for _step in self.work.stored(self.commit(outputs)):
            pass
        return outputs

    def emitted(self, outputs: Sequence[Output]) -> list[Output]:
        """Outputs that are not state."""
        return [
            output._replace(value=_timeless(output.topic, output.value))
            for output in outputs
            if output.topic != self.role.state_topic
        ]

    def state(self) -> dict[bytes | None, bytes | None]:
        """The newest record of each key of the state."""
        return {
            record.key: record.value for record in self.topics.committed(self.role.state_topic, self.state_partition)
        }

    def all_emitted(self) -> Emitted:
        """All that was committed and is not state, by topic and partition."""
        own = {self.role.state_topic, self.role.tp.topic}
        return {
            place: [
                (record.key, _timeless(place[0], record.value), record.headers)
                for record in self.topics.committed(*place)
            ]
            for place in self.topics.places()
            if place[0] not in own
        }


def _timeless(topic: str, value: bytes | None) -> bytes | None:
    """A frame without the time at which it was written: one that is written again has a later one."""
    if topic != TOPICS.by_target or is_control(value):
        return value
    return encode(replace(decode(value), written_ms=0))
