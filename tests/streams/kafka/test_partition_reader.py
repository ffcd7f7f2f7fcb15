"""The end of a partition where the broker's first answer is in the last batch."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import TopicPartition

from streams.kafka.partition_reader import FETCH_TURNS_MAX, end_of_last_batch

TP = TopicPartition("app.targets-state", 3)


class FakeConsumer:
    """Answers the fetch number ``answers_at`` with the end of the partition; 0: none."""

    def __init__(self, answers_at: int) -> None:
        self._answers_at = answers_at
        self.fetches = 0
        self.sought = -1

    def assign(self, parts: list[TopicPartition]) -> None:
        assert parts == [TP]

    def seek(self, tp: TopicPartition, offset: int) -> None:
        assert tp == TP
        self.sought = offset

    async def getmany(self, *_: Any, **__: Any) -> dict[Any, Any]:
        self.fetches += 1
        return {}

    def highwater(self, _: TopicPartition) -> int | None:
        return 42 if 0 < self._answers_at <= self.fetches else None


def test_the_end_is_that_of_the_first_answer_to_a_fetch() -> None:
    consumer = FakeConsumer(answers_at=3)
    assert asyncio.run(end_of_last_batch(consumer, TP, 40)) == 42
    assert (consumer.sought, consumer.fetches) == (39, 3)


def test_a_broker_that_answers_no_fetch_ends_the_read_with_a_sentence() -> None:
    consumer = FakeConsumer(answers_at=0)
    with pytest.raises(KafkaTimeoutError, match=r"app\.targets-state/3: the broker answered no fetch for 30 s"):
        asyncio.run(end_of_last_batch(consumer, TP, 40))
    assert consumer.fetches == FETCH_TURNS_MAX
