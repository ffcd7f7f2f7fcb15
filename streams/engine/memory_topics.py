"""Topics in memory, with an outlet and a reader: with them, tests run roles without a broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import NamedTuple

from aiokafka.structs import TopicPartition

from streams.clock import Clock
from streams.engine.outlet import Delivered, OutletError, Output


class MemoryRecord(NamedTuple):
    """The fields of an aiokafka record that roles read."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int
    timestamp_type: int = 0


class MemoryTopics:
    """Topics with any number of partitions, created by the first write. They are read as with a ``StateReader``."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._partitions: dict[tuple[str, int], list[MemoryRecord]] = {}
        self._ends: dict[tuple[str, int], int] = {}
        self.offsets: dict[TopicPartition, int] = {}
        """positions that checkpoints have committed"""
        self.owners: dict[str, MemoryOutlet] = {}
        """the newest outlet of each transactional id"""

    def commit(self, outputs: Iterable[Output]) -> Delivered:
        """Append all outputs, or none if reading them raises. One more offset is used up, as by a transaction marker.

        Returns the offset after the last record of each partition.
        """
        delivered: Delivered = {}
        for output in list(outputs):
            place = output.topic, output.partition
            offset = self._ends.get(place, 0)
            record = MemoryRecord(offset, output.key, output.value, tuple(output.headers or ()), self._clock.epoch_ms())
            self._partitions.setdefault(place, []).append(record)
            self._ends[place] = delivered[place] = offset + 1
        for place in delivered:
            self._ends[place] += 1
        return delivered

    def places(self) -> list[tuple[str, int]]:
        """Every topic and partition that has records."""
        return sorted(self._partitions)

    def committed(self, topic: str, partition: int) -> list[MemoryRecord]:
        """All records of a partition, in order."""
        return list(self._partitions.get((topic, partition), ()))

    async def records(
        self, topic: str, partition: int, *, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[MemoryRecord]:
        """See StateReader."""
        for record in self.committed(topic, partition):
            if (start is None or record.offset >= start) and (end is None or record.offset < end):
                yield record

    async def read(
        self, topic: str, partition: int, *, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[tuple[bytes | None, bytes | None]]:
        """See StateReader."""
        async for record in self.records(topic, partition, start=start, end=end):
            yield record.key, record.value

    async def beginning(self, topic: str, partition: int) -> int:
        """See StateReader: nothing is ever deleted."""
        return 0


class MemoryOutlet:
    """An outlet into topics in memory, with the guarantees of a transaction."""

    def __init__(self, topics: MemoryTopics, task: str) -> None:
        self._topics = topics
        self._task = task

    async def start(self) -> None:
        """See Outlet."""
        self._topics.owners[self._task] = self

    async def commit(self, outputs: Iterable[Output], offsets: Mapping[TopicPartition, int]) -> Delivered:
        """See Outlet."""
        if self._topics.owners.get(self._task) is not self:
            raise OutletError(f"{self._task} has a newer owner")
        delivered = self._topics.commit(outputs)
        self._topics.offsets.update(offsets)
        return delivered

    async def stop(self) -> None:
        """See Outlet."""
