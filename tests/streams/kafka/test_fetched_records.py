"""Fetched records of aiokafka are freed at once, and are what aiokafka's own class makes of them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from streams.kafka.consumer import consumer_app
from streams.kafka.fetched_records import FetchedRecords
from streams.settings.settings import Settings


def batches(*sizes: int) -> bytes:
    """Record batches of these sizes, whose offsets go on."""
    made, offset = b"", 0
    for size in sizes:
        builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 20)
        for place in range(size):
            builder.append(place, timestamp=place, key=None, value=b"%d" % (offset + place), headers=[])
        batch = bytearray(builder.build())
        batch[:8] = offset.to_bytes(8, "big")  # the base offset is not part of the checksum
        made += bytes(batch)
        offset += size
    return made


def fetch(kind: type[Any], raw: bytes, start: int = 0) -> Any:
    return kind(TopicPartition("views", 0), MemoryRecords(raw), [], start, None, None, True, READ_COMMITTED)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("read", [0, 1, 4, 7])
def test_a_fetch_is_freed_without_the_garbage_collector(read: int) -> None:
    fetched = fetch(FetchedRecords, batches(3, 4))
    assert [int(next(fetched).value) for _ in range(read)] == list(range(read))
    gone = weakref.ref(fetched)
    del fetched
    assert gone() is None


@pytest.mark.usefixtures("no_collector")
def test_aiokafkas_own_needs_the_collector() -> None:
    fetched = fetch(PartitionRecords, batches(3))
    gone = weakref.ref(fetched)
    del fetched
    assert gone() is not None, "aiokafka has broken its cycle: FetchedRecords is not needed any more"


@pytest.mark.parametrize("start", [0, 2, 3, 5])
def test_it_has_the_same_records_and_goes_on_at_the_same_offset(start: int) -> None:
    raw = batches(3, 4)
    ours, theirs = fetch(FetchedRecords, raw, start), fetch(PartitionRecords, raw, start)
    assert [(record.offset, record.value) for record in ours] == [(record.offset, record.value) for record in theirs]
    assert ours.next_fetch_offset == theirs.next_fetch_offset == 7


def test_the_worker_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "PartitionRecords", PartitionRecords)

    async def nothing(*_: Any, **__: Any) -> None: ...

    consumer_app(Settings(), {}, handle=nothing, revoked=nothing)
    assert fetcher.PartitionRecords is FetchedRecords
