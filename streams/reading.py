"""Topics read from the command line with kafka-python: flags, counts, the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.clients import kafka_python_options
from streams.settings import Settings
from streams.topics import BrokerError, describe

POLL_MS = 300


class Reader:
    """Reads all partitions of a topic, committed records only, without a group."""

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
                raise BrokerError(f"topic {topic} does not exist; make it with `truecount topics create`")
            self._parts = [TopicPartition(topic, p) for p in sorted(found)]
            self._consumer.assign(self._parts)
            if from_end:
                self._consumer.seek_to_end(*self._parts)
            else:
                self._consumer.seek_to_beginning(*self._parts)
        except (KafkaError, OSError, ValueError) as error:
            raise BrokerError(describe(error, settings)) from error

    def to_end(self) -> Iterator[Any]:
        """All records that are there now."""
        try:
            ends = self._consumer.end_offsets(self._parts)
            while any(self._consumer.position(tp) < end for tp, end in ends.items()):
                yield from self._poll()
        except (KafkaError, OSError) as error:
            raise BrokerError(describe(error, self._settings)) from error

    def last(self, size: int) -> list[Any]:
        """The last records, as many of each partition as of the others, in order of their timestamps."""
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

    def follow(self, until: float | None = None) -> Iterator[Any]:
        """Records as they come, for ever or until a ``time.monotonic`` moment."""
        try:
            while until is None or time.monotonic() < until:
                yield from self._poll()
        except (KafkaError, OSError) as error:
            raise BrokerError(describe(error, self._settings)) from error

    def poll(self) -> list[Any]:
        """What has come, waiting a moment at most."""
        try:
            return list(self._poll(0))
        except (KafkaError, OSError) as error:
            raise BrokerError(describe(error, self._settings)) from error

    def _poll(self, timeout_ms: int = POLL_MS) -> Iterator[Any]:
        for records in self._consumer.poll(timeout_ms=timeout_ms).values():
            yield from records

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def shares_of(sizes: list[int], wanted: int) -> list[int]:
    """How much of each size to take so that all together are ``wanted``, as evenly as the sizes allow.

    >>> shares_of([3, 100, 100], 60)
    [3, 28, 29]
    """
    shares = [0] * len(sizes)
    left = wanted
    for done, place in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        shares[place] = min(sizes[place], left // (len(sizes) - done))
        left -= shares[place]
    return shares
