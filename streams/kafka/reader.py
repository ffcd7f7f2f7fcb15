"""Reads topics with kafka-python for the command line: flags, counts, the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.kafka.clients import kafka_python_options
from streams.kafka.errors import BrokerError, describe
from streams.kafka.topics import absence
from streams.settings.settings import Settings

POLL_MS = 300

TAIL_RECORDS, TAIL_FACTOR = 256, 32
"""Number of records before the end that are read first, and the factor by which it grows."""


class Reader:
    """Reads committed records of all partitions of a topic, without a consumer group."""

    def __init__(self, settings: Settings, topic: str, *, from_end: bool = False) -> None:
        self._settings = settings
        try:
            self._consumer: Any = KafkaConsumer(
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                **kafka_python_options(settings.broker),
            )
            found = self._consumer.partitions_for_topic(topic)
            if not found:
                raise BrokerError(absence(settings, topic))
            self._parts = [TopicPartition(topic, p) for p in sorted(found)]
            self._consumer.assign(self._parts)
            if from_end:
                self._consumer.seek_to_end(*self._parts)
            else:
                self._consumer.seek_to_beginning(*self._parts)
        except (KafkaError, OSError, ValueError) as error:
            raise BrokerError(describe(error, settings)) from error

    def to_end(self) -> Iterator[Any]:
        """Yield all records from the position to the present end."""
        try:
            yield from self._read_to(self._consumer.end_offsets(self._parts))
        except (KafkaError, OSError) as error:
            raise BrokerError(describe(error, self._settings)) from error

    def last(self, size: int) -> list[Any]:
        """The last records in order of their timestamps, about equally many of each partition."""
        try:
            begins = self._consumer.beginning_offsets(self._parts)
            ends = self._consumer.end_offsets(self._parts)
        except (KafkaError, OSError) as error:
            raise BrokerError(describe(error, self._settings)) from error
        shares = shares_of([ends[part] - begins[part] for part in self._parts], size)
        for part, share in zip(self._parts, shares, strict=True):
            self._consumer.seek(part, ends[part] - share)
        found = sorted(self.to_end(), key=lambda record: (record.timestamp, record.partition, record.offset))
        return found[-size:]

    def beginnings(self) -> dict[int, int]:
        """The first offset that the broker still has, by partition."""
        try:
            return {tp.partition: begin for tp, begin in self._consumer.beginning_offsets(self._parts).items()}
        except (KafkaError, OSError) as error:
            raise BrokerError(describe(error, self._settings)) from error

    def newest(self, key: bytes) -> dict[int, Any]:
        """The newest record with a key, for each partition that has one. It is fast if that record is near the end."""
        found: dict[int, Any] = {}
        try:
            begins, ends = self._consumer.beginning_offsets(self._parts), self._consumer.end_offsets(self._parts)
            back = TAIL_RECORDS
            while wanted := [tp for tp in self._parts if tp.partition not in found and begins[tp] < ends[tp]]:
                for tp in self._parts:
                    self._consumer.seek(tp, max(begins[tp], ends[tp] - back) if tp in wanted else ends[tp])
                read = self._read_to({tp: ends[tp] for tp in wanted})
                found.update((record.partition, record) for record in read if record.key == key)
                if all(ends[tp] - back <= begins[tp] for tp in wanted):
                    break
                back *= TAIL_FACTOR
        except (KafkaError, OSError) as error:
            raise BrokerError(describe(error, self._settings)) from error
        return found

    def follow(self) -> Iterator[Any]:
        """Yield new records, without end."""
        try:
            while True:
                yield from self._poll()
        except (KafkaError, OSError) as error:
            raise BrokerError(describe(error, self._settings)) from error

    def poll(self) -> list[Any]:
        """The records that have been fetched, without waiting for more."""
        try:
            return list(self._poll(0))
        except (KafkaError, OSError) as error:
            raise BrokerError(describe(error, self._settings)) from error

    def _read_to(self, ends: dict[TopicPartition, int]) -> Iterator[Any]:
        """Yield the records of all partitions until the ends of some are reached.

        The end that the embedded broker gives is in the last batch. The answers to fetches have the right one.
        """
        while any(self._consumer.position(tp) < end for tp, end in ends.items()):
            yield from self._poll()
        if self._settings.processing == "at_least_once":
            ends = {tp: max(end, self._consumer.highwater(tp) or 0) for tp, end in ends.items()}
            while any(self._consumer.position(tp) < end for tp, end in ends.items()):
                yield from self._poll()

    def _poll(self, timeout_ms: int = POLL_MS) -> Iterator[Any]:
        for records in self._consumer.poll(timeout_ms=timeout_ms).values():
            yield from records

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def shares_of(sizes: list[int], wanted: int) -> list[int]:
    """Split ``wanted`` over sizes as evenly as they allow.

    >>> shares_of([3, 100, 100], 60)
    [3, 28, 29]
    """
    shares = [0] * len(sizes)
    left = wanted
    for done, place in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        shares[place] = min(sizes[place], left // (len(sizes) - done))
        left -= shares[place]
    return shares
