"""Fetched records of aiokafka without a reference cycle.

Where a role is behind, Faust pauses a partition, and aiokafka drops what it has fetched of it and fetches it again.
In aiokafka such a fetch, of up to 2 MiB, and the generator of its records refer to each other. So it would stay until
the garbage collector runs, which is seldom in a worker (``service.memory``): 194 MiB after a million events.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords


class FetchedRecords(PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """Records of a fetch, which is freed as soon as nothing refers to it, however many of them were read."""

    def _unpack_records(self) -> Iterator[Any]:
        records: Iterator[Any] = PartitionRecords._unpack_records(weakref.proxy(self))  # noqa: SLF001  # the same method
        return records


def use() -> None:
    """Let all consumers of aiokafka make fetched records of this kind."""
    fetcher.PartitionRecords = FetchedRecords
