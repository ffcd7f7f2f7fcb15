"""A fetched chunk is handed on in pieces that keep the loop turning, and says truly where it was fetched from."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.structs import TopicPartition
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.consumer import consumer_app
from streams.kafka.reachability import Needed
from streams.kafka.transport import (
    INPUT_CHUNK_BYTES,
    MAX_CHUNK_BYTES,
    MAX_CHUNK_RECORDS,
    BatchConsumer,
    BatchConsumerThread,
    pieces,
)
from streams.settings.settings import Settings

PLACE = TopicPartition("views", 0)
HELD = TP("views", 0)


@pytest.mark.parametrize(
    ("records", "size"), [(1, 10), (9_000, 220), (40_000, 20), (500, 60_000), (3, 5_000_000), (100, 0)]
)
@pytest.mark.parametrize("max_bytes", [MAX_CHUNK_BYTES, INPUT_CHUNK_BYTES])
def test_pieces_are_the_chunk_in_order_and_small(records: int, size: int, max_bytes: int) -> None:
    chunk = [SimpleNamespace(offset=n, value=b"x" * size or None) for n in range(records)]
    cut = list(pieces(chunk, max_bytes))
    assert [record for piece in cut for record in piece] == chunk
    assert all(len(piece) <= MAX_CHUNK_RECORDS for piece in cut)
    assert all(len(piece) == 1 or len(piece) * size <= max_bytes for piece in cut)


class Parsed:
    """Stands for aiokafka's PartitionRecords: a fetch from ``start``, in which every third offset is a marker."""

    def __init__(self, start: int, stop: int) -> None:
        self.next_fetch_offset = start
        self._stop = stop

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        while self.next_fetch_offset < self._stop:
            offset, self.next_fetch_offset = self.next_fetch_offset, self.next_fetch_offset + 1
            if offset % 3 != 2:
                return SimpleNamespace(offset=offset, value=b"", timestamp=0, timestamp_type=0)
        raise StopIteration


class Broker(Fetcher):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's fetcher without a network: what it has fetched is put there by ``fetch``."""

    def __init__(self) -> None:
        self.state = SimpleNamespace(position=0, paused=False, has_valid_position=True, lso=0, highwater=0)
        self.state.consumed_to = lambda position: setattr(self.state, "position", position)
        self._assignment = SimpleNamespace(active=True, state_value=lambda _: self.state)
        self._subscriptions = SimpleNamespace(
            reassignment_in_progress=False, is_assigned=lambda _: True, fetch_context=contextlib.nullcontext
        )
        self._records: dict[Any, Any] = {}
        self._fetch_waiters: set[Any] = set()
        self._wait_consume_future: Any = None
        self._closed = False
        self._loop = asyncio.get_running_loop()

    def __del__(self) -> None:
        """Nothing to close."""

    def fetch(self, records: int) -> None:
        """A fetch ends: one that is there already is not asked for again."""
        if PLACE not in self._records:
            parsed = Parsed(self.state.position, self.state.position + records)
            self._records[PLACE] = FetchResult(
                PLACE, assignment=self._assignment, partition_records=parsed, backoff=0.0
            )
            self.state.lso = max(self.state.lso, self.state.position + records)
            for waiter in list(self._fetch_waiters):
                if not waiter.done():  # as aiokafka does
                    waiter.set_result(None)

    def _notify(self, future: Any) -> None:
        """Nobody fetches by himself here."""

    def seek(self, place: Any, offset: int) -> None:
        """As the consumer's."""
        self.state.position = offset


def parts(broker: Broker) -> tuple[BatchConsumerThread, BatchConsumer, Any]:
    """The thread and the consumer, in one loop and without a Faust app."""
    consumer = BatchConsumer.__new__(BatchConsumer)
    thread = BatchConsumerThread.__new__(BatchConsumerThread)
    consumer._thread = thread
    consumer.flow_active = True
    vars(consumer).update(
        app=SimpleNamespace(consumer_generation_id=1),
        transport=SimpleNamespace(inputs=frozenset()),
        _stopped=asyncio.Event(),
        _crashed=asyncio.Event(),
    )
    thread.consumer, thread.resume_at, thread._read = consumer, {}, {}
    thread.thread_loop = asyncio.get_running_loop()
    kafka = SimpleNamespace(_fetcher=broker, _closed=False, seek=broker.seek)
    kafka._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=broker._assignment))
    thread._consumer = kafka
    return thread, consumer, kafka


ACTS = st.one_of(
    st.tuples(st.just("fetch"), st.integers(1, 12)),
    st.tuples(st.just("pick"), st.integers(1, 8)),
    st.tuples(st.just("seek"), st.integers(0, 40)),
)


@given(st.lists(ACTS, max_size=30))
def test_whatever_passes_each_other_a_chunk_starts_where_it_was_fetched_from(acts: list[tuple[str, int]]) -> None:
    async def course() -> None:
        broker = Broker()
        thread, consumer, kafka = parts(broker)
        for act, number in acts:
            if act == "fetch":
                broker.fetch(number)
            elif act == "seek":
                await consumer._seek(HELD, number)
            else:
                before = broker.state.position
                picked = await thread._fetch_records(kafka, {HELD}, timeout=0, max_records=number)
                for start, records in picked.values():
                    assert start <= before
                    got = [record.offset for record in records]
                    assert got == [n for n in range(start, got[-1] + 1) if n % 3 != 2], "none is missing behind start"

    asyncio.run(course())


def test_what_only_markers_lie_between_follows_on() -> None:
    async def course() -> None:
        broker = Broker()
        thread, _, kafka = parts(broker)
        ends = []
        for records in (6, 3, 1, 2):  # the second ends at 9: the eighth offset is a marker
            broker.fetch(records)
            for start, got in (await thread._fetch_records(kafka, {HELD})).values():
                ends.append((start, got[-1].offset + 1))
        broker.seek(PLACE, 11)
        broker.fetch(1)
        assert not await thread._fetch_records(kafka, {HELD}), "a marker alone"
        broker.fetch(1)
        (chunk,) = (await thread._fetch_records(kafka, {HELD})).values()
        assert ends == [(0, 5), (5, 8), (8, 10), (10, 11)]
        assert chunk.start == 11

    asyncio.run(course())


def test_a_seek_while_something_is_waited_for_is_where_the_next_chunk_starts() -> None:
    async def course() -> None:
        broker = Broker()
        thread, consumer, kafka = parts(broker)
        broker.seek(PLACE, 30)
        waiting = asyncio.create_task(thread._fetch_records(kafka, {HELD}, timeout=5))
        await asyncio.sleep(0)
        await consumer._seek(HELD, 6)
        broker.fetch(4)
        assert [(c.start, len(c.records)) for c in (await waiting).values()] == [(6, 3)]

    asyncio.run(course())


def test_what_is_picked_up_and_not_handed_on_is_still_to_be_read() -> None:
    async def course() -> None:
        broker = Broker()
        thread, consumer, kafka = parts(broker)
        broker.fetch(6)  # 0, 1, 3, 4, and a marker at the end
        assert consumer.remaining(HELD, 0) == 6
        picked = await thread._fetch_records(kafka, {HELD})

        async def wait_next_records(_seconds: float) -> Any:
            return picked, {HELD}

        vars(consumer)["_wait_next_records"] = wait_next_records
        assert consumer.remaining(HELD, 0) == 6, "the fetcher is past it, but nobody has it"
        assert consumer.remaining(HELD, 5) == 1
        tp, message = await anext(consumer.getmany(0.0))
        assert (tp, message.value.start, message.value.next) == (HELD, 0, 5)
        assert consumer.remaining(HELD, 5) == 0, "only a marker is left"
        assert consumer.remaining(HELD, 0) == 6, "a task that did not get it has it before itself"
        await consumer._seek(HELD, 0)
        assert consumer.remaining(HELD, 0) == 6

    asyncio.run(course())


def _consumer(settings: Settings) -> Any:
    """A consumer as a worker makes it, not started."""

    async def nothing(*_args: Any, **_more: Any) -> None: ...

    app = consumer_app(settings, {"targets": ["truecount.by-target"]}, handle=nothing, revoked=nothing)
    return app.transport.create_consumer(nothing, on_partitions_revoked=nothing, on_partitions_assigned=nothing)


def test_faust_does_not_complain_of_commits_that_tasks_make_themselves(caplog: pytest.LogCaptureFixture) -> None:
    """Its check runs every few seconds; ten minutes after the start it has never seen a commit."""

    async def checked() -> None:
        consumer = _consumer(Settings())
        place = TopicPartition("truecount.by-target", 0)
        read = SimpleNamespace(timestamp=monotonic() * 1000, highwater=10, position=5)
        assignment = SimpleNamespace(active=True, state_value=lambda _tp: read)
        subscriptions = SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))
        thread = consumer._thread
        thread._consumer = SimpleNamespace(
            assignment=lambda: {place}, _fetcher=SimpleNamespace(_subscriptions=subscriptions)
        )
        thread.time_started = monotonic() - 600
        consumer.app.topics.acks_enabled_for = lambda _topic: True
        consumer.app.monitor.stream_inbound_time[TP(*place)] = monotonic()
        thread.verify_event_path(monotonic(), TP(*place))
        assert "Has not committed" in caplog.text, "this is how Faust would complain"
        caplog.clear()
        await consumer.verify_all_partitions_active()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(checked())
    assert caplog.text == ""


def test_the_nodes_that_are_needed_lead_our_partitions_or_coordinate_our_group() -> None:
    leaders = {"views": 1, "likes": 2, "follows": -1, "unknown": None}
    brokers = [SimpleNamespace(nodeId=node, host=f"kafka-{node}", port=9092) for node in (1, 2, 3, 4)]
    cluster = SimpleNamespace(brokers=lambda: brokers, leader_for_partition=lambda tp: leaders[tp.topic])

    async def needed(assigned: set[TP], coordinator: int | None) -> Needed:
        consumer = _consumer(Settings())
        consumer._thread._consumer = SimpleNamespace(
            assignment=lambda: assigned,
            _client=SimpleNamespace(cluster=cluster),
            _coordinator=SimpleNamespace(coordinator_id=coordinator),
        )
        found: Needed = consumer.needed()
        return found

    ours = {TP("views", 0), TP("likes", 3), TP("unknown", 0)}
    assert asyncio.run(needed(ours, 4)) == Needed({1: "kafka-1:9092", 2: "kafka-2:9092", 4: "kafka-4:9092"})
    assert asyncio.run(needed({TP("follows", 7)}, 4)) == Needed({4: "kafka-4:9092"}, ("follows/7",))
    assert asyncio.run(needed(set(), None)).nodes.keys() == {1, 2, 3, 4}, "while it joins the group, any may be"
