"""How a task's work leaves it: all of a checkpoint, or nothing.

``TransactionalOutlet`` makes a checkpoint one Kafka transaction: outputs, changed state, consumed offsets.
``PlainOutlet`` is for brokers without transactions: outputs are delivered before the state that is ahead of them,
so a crash in between repeats work but loses none. The group is told the offsets by and by, for those who watch it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from streams.kafka.clients import aiokafka_options
from streams.settings.settings import Settings

BATCH_BYTES = 512 * 1024
COMPRESSION = "zstd"
"""Not lz4: aiokafka's takes its slowest level and cannot be told another, 1.5 µs an event where zstd takes 0.4."""
REQUEST_BYTES = 1024 * 1024


class Output(NamedTuple):
    """One record to send."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None


Delivered = dict[tuple[str, int], int]
"""Topic and partition → the offset behind the last record that a checkpoint put there."""


class OutletError(Exception):
    """A checkpoint that did not happen: none of it may be relied upon, its task must be opened anew."""


class Outlet(Protocol):
    """Where checkpoints go."""

    async def start(self) -> None:
        """Connect. Fences any older owner of the same id and waits for its last transaction to end."""
        ...

    async def commit(self, outputs: Iterable[Output], offsets: Mapping[TopicPartition, int]) -> Delivered:
        """Deliver a checkpoint; ``outputs`` may be read twice.

        Raises OutletError if it did not happen (or cannot be known to have).
        """
        ...

    async def stop(self) -> None:
        """Disconnect."""
        ...


class TransactionalOutlet:
    """One transactional producer, owned by one task."""

    def __init__(self, settings: Settings, task: str) -> None:
        self._group = settings.app
        self._producer = _producer(settings, transactional_id=f"{settings.app}-{task}")

    async def start(self) -> None:
        """See Outlet."""
        await self._producer.start()

    async def commit(self, outputs: Iterable[Output], offsets: Mapping[TopicPartition, int]) -> Delivered:
        """See Outlet."""
        producer = self._producer
        try:
            await producer.begin_transaction()
            delivered = await deliver(producer, outputs)
            await producer.send_offsets_to_transaction(dict(offsets), self._group)
            await producer.commit_transaction()
        except (KafkaError, TimeoutError, OSError) as error:
            raise OutletError(f"the transaction failed: {error!r}") from error
        return delivered

    async def stop(self) -> None:
        """See Outlet."""
        await self._producer.stop()


class PlainOutlet:
    """A producer without transactions, shared by the tasks of a worker."""

    def __init__(
        self,
        settings: Settings,
        note_offsets: Callable[[Mapping[TopicPartition, int]], None],
        *,
        changelogs: Collection[str],
    ) -> None:
        """``changelogs`` are the topics of state. ``note_offsets`` gets positions after each checkpoint.

        Nothing relies on those offsets: positions are part of the state.
        """
        self._producer = _producer(settings, transactional_id=None)
        self._note_offsets = note_offsets
        self._changelogs = changelogs
        self._started = False
        self._turn = asyncio.Lock()
        """aiokafka lets one batch a partition wait at a time, and times the others out early"""

    async def start(self) -> None:
        """See Outlet; starting twice is harmless."""
        if not self._started:
            self._started = True
            await self._producer.start()

    async def commit(self, outputs: Iterable[Output], offsets: Mapping[TopicPartition, int]) -> Delivered:
        """See Outlet. State comes last: a position must not be ahead of what was made up to it."""
        state = (output for output in outputs if output.topic in self._changelogs)
        others = (output for output in outputs if output.topic not in self._changelogs)
        try:
            async with self._turn:
                delivered = await deliver(self._producer, others)
                delivered |= await deliver(self._producer, state)
        except (KafkaError, TimeoutError, OSError) as error:
            raise OutletError(f"the delivery failed: {error!r}") from error
        self._note_offsets(offsets)
        return delivered

    async def stop(self) -> None:
        """The producer is shared and outlives a task; see ``close``."""

    async def close(self) -> None:
        """Disconnect."""
        if self._started:
            await self._producer.stop()


async def deliver(producer: AIOKafkaProducer, outputs: Iterable[Output]) -> Delivered:
    """Send outputs in order per partition and wait until the broker has all of them. Raises KafkaError."""
    now_ms = int(time.time() * 1000)
    filling: dict[tuple[str, int], Any] = {}
    sent = []

    async def send(place: tuple[str, int]) -> None:
        batch, (topic, partition) = filling.pop(place), place
        sent.append((place, batch.record_count(), await producer.send_batch(batch, topic, partition=partition)))

    for output in outputs:
        place = output.topic, output.partition
        batch = filling.get(place)
        if batch is None or not _append(batch, output, now_ms):
            if batch is not None:
                await send(place)
            batch = filling[place] = producer.create_batch()
            _append(batch, output, now_ms)
    for place in list(filling):
        await send(place)
    delivered: Delivered = {}
    # All are waited for, also if one fails: nobody else asks what became of the others.
    answers = await asyncio.gather(*(future for _, _, future in sent), return_exceptions=True)
    for (place, records, _), answer in zip(sent, answers, strict=True):
        if isinstance(answer, BaseException):
            raise answer
        delivered[place] = max(delivered.get(place, 0), answer.offset + records)
    return delivered


def _append(batch: Any, output: Output, now_ms: int) -> bool:
    """False if the batch is full; the first record of a batch always fits."""
    appended = batch.append(key=output.key, value=output.value, timestamp=now_ms, headers=output.headers or [])
    return appended is not None


def _producer(settings: Settings, *, transactional_id: str | None) -> AIOKafkaProducer:
    options: dict[str, Any] = aiokafka_options(settings.broker)
    if transactional_id is not None:
        options["transactional_id"] = transactional_id
        options["transaction_timeout_ms"] = 60_000
    return AIOKafkaProducer(
        acks="all",
        compression_type=COMPRESSION,
        max_batch_size=BATCH_BYTES,
        max_request_size=REQUEST_BYTES,
        linger_ms=0,
        request_timeout_ms=30_000,
        **options,
    )
