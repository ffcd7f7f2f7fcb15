"""What the engine asks of an outlet (``Outlet``), for every outlet there is and each broker that it works on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from bench.testbed.brokers import BrokerAddress
from streams.clock import FakeClock, SystemClock
from streams.engine.memory_topics import MemoryOutlet, MemoryTopics
from streams.engine.outlet import Outlet, OutletError, Output, PlainOutlet, TransactionalOutlet
from streams.kafka.clients import aiokafka_options
from streams.kafka.topics import Topics, create
from streams.roles import changelogs, plan
from streams.settings.broker import Broker
from streams.settings.settings import Settings

PARTITIONS = 2
BATCH_RECORDS = 3_000
"""More than one batch of a producer: each is 500 bytes."""
QUIET_MS = 300


class Kind(NamedTuple):
    """An outlet, and where it writes to."""

    where: str
    """``memory``, or the fixture of a broker"""
    transactions: bool


KINDS = [
    pytest.param(Kind("memory", True), id="memory"),
    *(
        pytest.param(
            Kind(where, transactions),
            id=f"{'transactional' if transactions else 'plain'} on {where}",
            marks=[pytest.mark.integration, pytest.mark.xdist_group("brokers"), *marks],
        )
        for where, transactions, marks in (
            ("tansu", False, []),
            ("kafka", False, [pytest.mark.kafka]),
            ("kafka", True, [pytest.mark.kafka]),
        )
    ),
]
"""A new outlet adds a line here and a way to make it in ``Place``."""


@dataclass
class Place:
    """Where outlets of one kind write to, with topics of its own."""

    kind: Kind
    settings: Settings
    memory: MemoryTopics = field(default_factory=lambda: MemoryTopics(clock=FakeClock()))
    noted: dict[TopicPartition, int] = field(default_factory=dict)
    """what a plain outlet would have the group know"""
    _made: list[Outlet] = field(default_factory=list)

    @property
    def topics(self) -> Topics:
        return Topics.of(self.settings)

    def outlet(self, task: str = "task") -> Outlet:
        """A new outlet of a task."""
        made: Outlet
        if self.kind.where == "memory":
            made = MemoryOutlet(self.memory, task)
        elif self.kind.transactions:
            made = TransactionalOutlet(self.settings, task, clock=SystemClock())
        else:
            state = changelogs(self.settings)
            made = PlainOutlet(self.settings, self.noted.update, changelogs=state, clock=SystemClock())
        self._made.append(made)
        return made

    async def close(self) -> None:
        """Stop all outlets that were made."""
        for outlet in self._made:
            await outlet.stop()
            if isinstance(outlet, PlainOutlet):
                await outlet.close()

    async def records(self, topic: str, partition: int = 0) -> list[Any]:
        """All committed records of a partition."""
        if self.kind.where == "memory":
            return list(self.memory.committed(topic, partition))
        tp, found = TopicPartition(topic, partition), list[Any]()
        consumer = AIOKafkaConsumer(isolation_level="read_committed", **aiokafka_options(self.settings.broker))
        await consumer.start()
        try:
            consumer.assign([tp])
            consumer.seek(tp, 0)
            end = (await consumer.end_offsets([tp]))[tp]
            # The embedded broker names the last batch's beginning as the end: read on until nothing comes.
            while (chunk := (await consumer.getmany(tp, timeout_ms=QUIET_MS)).get(tp)) or await consumer.position(
                tp
            ) < end:
                found += chunk or ()
        finally:
            await consumer.stop()
        return found

    async def values(self, topic: str, partition: int = 0) -> list[bytes | None]:
        """Their values."""
        return [record.value for record in await self.records(topic, partition)]

    async def offset(self, tp: TopicPartition) -> int | None:
        """The position of a task, as far as it is committed or noted beside its state."""
        if self.kind.where == "memory":
            return self.memory.offsets.get(tp)
        if not self.kind.transactions:
            return self.noted.get(tp)
        consumer = AIOKafkaConsumer(group_id=self.settings.app, **aiokafka_options(self.settings.broker))
        await consumer.start()
        try:
            offset: int | None = await consumer.committed(tp)
            return offset
        finally:
            await consumer.stop()


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, unique: Callable[[str], str]) -> Place:
    kind: Kind = request.param
    name = unique("outlet")
    settings = Settings(app=name, prefix=f"{name}.", partitions=PARTITIONS)
    if kind.where != "memory":
        address: BrokerAddress = request.getfixturevalue(kind.where)
        settings = settings.model_copy(update={"broker": Broker(servers=address.servers)})
        create(settings, plan(settings, inputs=False))
    return Place(kind, settings)


def run(place: Place, course: Callable[[], Awaitable[None]]) -> None:
    """Run a test's course, and stop its outlets whatever happens."""

    async def whole() -> None:
        try:
            await course()
        finally:
            await place.close()

    asyncio.run(whole())


def position(place: Place, offset: int) -> Mapping[TopicPartition, int]:
    return {TopicPartition(place.topics.by_target, 0): offset}


def state(place: Place, value: bytes) -> Output:
    return Output(place.topics.targets_state, 0, b"key", value)


def test_what_is_committed_can_be_read_with_keys_and_headers_by_partition_and_in_order(place: Place) -> None:
    async def course() -> None:
        outlet, topics = place.outlet(), place.topics
        await outlet.start()
        flags = [Output(topics.flagged_events, n % 2, b"k%d" % n, b"v%d" % n, [("name", b"%d" % n)]) for n in range(10)]
        delivered = await outlet.commit([*flags, state(place, b"s")], position(place, 7))
        for partition in range(PARTITIONS):
            got = await place.records(topics.flagged_events, partition)
            assert [(r.key, r.value, list(r.headers)) for r in got] == [
                (flag.key, flag.value, flag.headers) for flag in flags if flag.partition == partition
            ]
            assert delivered[topics.flagged_events, partition] == got[-1].offset + 1
        assert await place.values(topics.targets_state) == [b"s"]
        assert await place.offset(TopicPartition(topics.by_target, 0)) == 7

    run(place, course)


def test_checkpoints_follow_each_other_and_each_says_where_it_ends(place: Place) -> None:
    async def course() -> None:
        outlet = place.outlet()
        await outlet.start()
        topic = place.topics.targets_state
        for number in range(3):
            delivered = await outlet.commit([state(place, b"%d" % number)], position(place, number))
            assert delivered == {(topic, 0): (await place.records(topic))[-1].offset + 1}
        assert await place.values(topic) == [b"0", b"1", b"2"]
        assert await place.offset(TopicPartition(place.topics.by_target, 0)) == 2

    run(place, course)


def test_a_checkpoint_without_outputs_commits_its_position(place: Place) -> None:
    async def course() -> None:
        outlet = place.outlet()
        await outlet.start()
        assert await outlet.commit([], position(place, 3)) == {}
        assert await place.offset(TopicPartition(place.topics.by_target, 0)) == 3

    run(place, course)


class Lazy:
    """Outputs that are made anew each time they are read, as those of ``targets`` are."""

    def __init__(self, outputs: list[Output]) -> None:
        self._outputs = outputs
        self.reads = 0

    def __iter__(self) -> Iterator[Output]:
        self.reads += 1
        yield from self._outputs


def test_outputs_are_read_twice_at_most_and_large_checkpoints_keep_their_order(place: Place) -> None:
    async def course() -> None:
        outlet, topics = place.outlet(), place.topics
        await outlet.start()
        values = [b"%06d" % n + b"x" * 494 for n in range(BATCH_RECORDS)]
        outputs = [Output(topics.audited_counts, n % 2, b"k", value) for n, value in enumerate(values)]
        lazy = Lazy([*outputs, state(place, b"s")])
        await outlet.commit(lazy, position(place, 1))
        assert 1 <= lazy.reads <= 2
        assert await place.values(topics.audited_counts, 0) == values[::2]
        assert await place.values(topics.audited_counts, 1) == values[1::2]

    run(place, course)


def broken(place: Place) -> Iterator[Output]:
    """Outputs of a checkpoint that cannot be read to its end."""
    yield Output(place.topics.audited_counts, 0, b"k", b"lost")
    yield state(place, b"lost")
    raise RuntimeError("the disk has gone")


def test_a_checkpoint_that_fails_raises_and_leaves_neither_state_nor_position(place: Place) -> None:
    async def course() -> None:
        first = place.outlet()
        await first.start()
        await first.commit([state(place, b"before")], position(place, 1))
        with pytest.raises((OutletError, RuntimeError)):
            await first.commit(broken(place), position(place, 2))
        await first.stop()
        second = place.outlet()
        await second.start()
        await second.commit([state(place, b"after")], position(place, 3))
        assert await place.values(place.topics.targets_state) == [b"before", b"after"]
        assert await place.offset(TopicPartition(place.topics.by_target, 0)) == 3
        if place.kind.transactions:
            assert await place.values(place.topics.audited_counts) == []

    run(place, course)


def test_a_newer_owner_fences_the_older_one_where_there_are_transactions(place: Place) -> None:
    async def course() -> None:
        older, newer, other = place.outlet(), place.outlet(), place.outlet("other")
        for outlet in (older, other, newer):
            await outlet.start()
        await newer.commit([state(place, b"newer")], position(place, 1))
        await other.commit([state(place, b"other")], position(place, 1))
        if place.kind.transactions:
            with pytest.raises(OutletError):
                await older.commit([state(place, b"older")], position(place, 2))
        assert await place.values(place.topics.targets_state) == [b"newer", b"other"]

    run(place, course)


def test_it_may_be_stopped_twice_and_before_it_has_started(place: Place) -> None:
    async def course() -> None:
        outlet = place.outlet()
        await outlet.start()
        await outlet.commit([state(place, b"s")], position(place, 1))
        await outlet.stop()
        await outlet.stop()
        await place.outlet().stop()

    run(place, course)
