"""How outlets send a checkpoint, on a pretended producer: in which order, in which batches, and up to where."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.structs import TopicPartition

from streams.clock import FakeClock
from streams.engine import outlet
from streams.engine.outlet import OutletError, Output, PlainOutlet, TransactionalOutlet, deliver
from streams.settings.settings import Settings

NOW_MS = 1_700_000_000_000
PER_BATCH = 3
OFFSETS = {TopicPartition("log", 0): 7}


class FakeBatch:
    """Has room for three records."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def append(self, **record: Any) -> object | None:
        """None if it is full."""
        if len(self.records) == PER_BATCH:
            return None
        self.records.append(record)
        return self

    def record_count(self) -> int:
        return len(self.records)


class Producer:
    """Records the calls that it gets. The broker has ten records of each partition."""

    def __init__(self) -> None:
        self.acts: list[str] = []
        self.sent: list[tuple[str, int, list[dict[str, Any]]]] = []
        self.ends: dict[tuple[str, int], int] = {}
        self.failing: dict[str, BaseException] = {}
        """topic, or method → what goes wrong with it"""
        self.answered = 0

    def create_batch(self) -> FakeBatch:
        return FakeBatch()

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> Any:
        self.sent.append((topic, partition, batch.records))
        offset = self.ends.get((topic, partition), 10)
        self.ends[topic, partition] = offset + len(batch.records)

        async def answer() -> Any:
            await asyncio.sleep(0)
            self.answered += 1
            if topic in self.failing:
                raise self.failing[topic]
            return SimpleNamespace(offset=offset)

        return asyncio.ensure_future(answer())

    def __getattr__(self, name: str) -> Any:
        async def act(*_: Any) -> None:
            self.acts.append(name)
            if name in self.failing:
                raise self.failing[name]

        return act


def outputs(topic: str, count: int, *, partition: int = 0) -> list[Output]:
    return [Output(topic, partition, b"k%d" % n, b"%s %d" % (topic.encode(), n)) for n in range(count)]


def values(producer: Producer) -> list[bytes]:
    return [record["value"] for _, _, records in producer.sent for record in records]


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> Producer:
    made = Producer()
    monkeypatch.setattr(outlet, "_producer", lambda *_, **__: made)
    return made


def plain(offsets: list[Mapping[TopicPartition, int]]) -> PlainOutlet:
    clock = FakeClock(epoch_ms=NOW_MS)
    return PlainOutlet(Settings(), offsets.append, changelogs={"state"}, clock=clock)


@pytest.mark.parametrize("count", [1, PER_BATCH, PER_BATCH + 1, 3 * PER_BATCH])
def test_records_of_a_partition_keep_their_order_over_batches_and_it_is_known_where_they_end(
    count: int, producer: Producer
) -> None:
    mixed = [one for pair in zip(outputs("a", count), outputs("a", count, partition=1), strict=True) for one in pair]
    delivered = asyncio.run(deliver(producer, [*mixed, *outputs("b", 2)], now_ms=NOW_MS))
    assert delivered == {("a", 0): 10 + count, ("a", 1): 10 + count, ("b", 0): 12}
    for partition in (0, 1):
        sent = [records for topic, place, records in producer.sent if (topic, place) == ("a", partition)]
        assert [record["value"] for records in sent for record in records] == [b"a %d" % n for n in range(count)]
        assert all(record["timestamp"] == NOW_MS for records in sent for record in records)
        assert len(sent) == -(-count // PER_BATCH)


def test_headers_and_keys_go_along(producer: Producer) -> None:
    one, other = Output("a", 0, b"k", None, [("h", b"1")]), Output("a", 0, None, b"v")
    asyncio.run(deliver(producer, [one, other], now_ms=NOW_MS))
    assert producer.sent[0][2] == [
        {"key": b"k", "value": None, "timestamp": NOW_MS, "headers": [("h", b"1")]},
        {"key": None, "value": b"v", "timestamp": NOW_MS, "headers": []},
    ]


def test_a_batch_that_fails_raises_when_all_others_have_ended(producer: Producer) -> None:
    producer.failing["a"] = KafkaConnectionError()
    with pytest.raises(KafkaError):
        asyncio.run(deliver(producer, [*outputs("a", 2), *outputs("b", 9)], now_ms=NOW_MS))
    assert producer.answered == len(producer.sent) == 4


def test_without_transactions_state_goes_last_and_then_the_group_hears_of_the_position(producer: Producer) -> None:
    offsets: list[Mapping[TopicPartition, int]] = []
    sent = [*outputs("state", 2), *outputs("flags", 2), *outputs("state", 1)]
    delivered = asyncio.run(plain(offsets).commit(sent, OFFSETS))
    assert delivered == {("flags", 0): 12, ("state", 0): 13}
    assert [topic for topic, _, _ in producer.sent] == ["flags", "state"]
    assert values(producer) == [b"flags 0", b"flags 1", b"state 0", b"state 1", b"state 0"]
    assert offsets == [OFFSETS]


@pytest.mark.parametrize("error", [KafkaConnectionError(), TimeoutError(), OSError()])
def test_without_transactions_state_is_not_sent_if_an_output_was_not_delivered(
    error: Exception, producer: Producer
) -> None:
    offsets: list[Mapping[TopicPartition, int]] = []
    producer.failing["flags"] = error
    with pytest.raises(OutletError, match="the delivery failed"):
        asyncio.run(plain(offsets).commit([*outputs("state", 1), *outputs("flags", 1)], OFFSETS))
    assert values(producer) == [b"flags 0"]
    assert offsets == []


def test_an_outlet_that_tasks_share_connects_once_and_only_its_owner_ends_it(producer: Producer) -> None:
    async def course() -> None:
        shared = plain([])
        await shared.close()
        assert producer.acts == []
        await shared.start()
        await shared.start()
        await shared.stop()
        assert producer.acts == ["start"]
        await shared.close()
        assert producer.acts == ["start", "stop"]

    asyncio.run(course())


def test_a_transaction_has_outputs_and_positions_and_is_committed_last(producer: Producer) -> None:
    made = TransactionalOutlet(Settings(), "task", clock=FakeClock(epoch_ms=NOW_MS))
    delivered = asyncio.run(made.commit([*outputs("state", 1), *outputs("flags", 1)], OFFSETS))
    assert delivered == {("state", 0): 11, ("flags", 0): 11}
    assert producer.acts == ["begin_transaction", "send_offsets_to_transaction", "commit_transaction"]
    assert values(producer) == [b"state 0", b"flags 0"]


@pytest.mark.parametrize("step", ["begin_transaction", "flags", "send_offsets_to_transaction", "commit_transaction"])
@pytest.mark.parametrize("error", [KafkaConnectionError(), TimeoutError(), OSError()])
def test_a_transaction_that_fails_at_any_step_is_an_error_of_the_outlet(
    step: str, error: Exception, producer: Producer
) -> None:
    made = TransactionalOutlet(Settings(), "task", clock=FakeClock(epoch_ms=NOW_MS))
    producer.failing[step] = error
    with pytest.raises(OutletError, match="the transaction failed"):
        asyncio.run(made.commit(outputs("flags", 1), OFFSETS))
    assert ("commit_transaction" in producer.acts) == (step == "commit_transaction")
