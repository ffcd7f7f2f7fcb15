"""Outlets deliver checkpoints: either the whole checkpoint, or nothing that a task would go on from.

``TransactionalOutlet`` makes a checkpoint one Kafka transaction: outputs, changed state and consumed offsets.
``PlainOutlet`` is for brokers without transactions. It delivers outputs before the state that covers them, so a crash
in between repeats work but loses none. It also commits offsets to the group, so that tools can show its lag.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from streams.clock import Clock
from streams.kafka.clients import aiokafka_options, transactional_id
from streams.settings.settings import Settings

BATCH_BYTES = 512 * 1024
COMPRESSION = "zstd"
"""Not lz4: aiokafka uses its slowest level and has no option for another one. It takes 1.5 µs an event, zstd 0.4."""
REQUEST_BYTES = 1024 * 1024


class Output(NamedTuple):
    """One record to send."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None


Delivered = dict[tuple[str, int], int]
"""Topic and partition → the offset after the last record that a checkpoint wrote there."""


class OutletError(Exception):
    """A checkpoint was not committed, or may not have been. Its task must restore the last committed one."""


class Outlet(Protocol):
    """Delivers the checkpoints of a task.

    ``start`` is called first, then ``commit`` any number of times, one at a time, then ``stop``. After a ``commit``
    that raised, only ``stop`` may follow. ``tests/contract/test_outlet.py`` checks this contract for every outlet.
    """

    async def start(self) -> None:
        """Connect. With transactions, fence an older owner of the same id and wait for the end of its transaction."""
        ...

    async def commit(self, outputs: Iterable[Output], offsets: Mapping[TopicPartition, int]) -> Delivered:
        """Deliver a checkpoint, in order within each partition. ``outputs`` is read at most twice.

        Raises OutletError if it was not committed or may not have been, and whatever reading ``outputs`` raises. After
        that, its state and offsets are not on the broker; without transactions, some outputs may be.
        """
        ...

    async def stop(self) -> None:
        """Disconnect. May be called twice, and before ``start``."""
        ...


class TransactionalOutlet:
    """Owns a transactional producer. Each task has an outlet of its own."""

    def __init__(self, settings: Settings, task: str, *, clock: Clock) -> None:
        self._clock = clock
        self._group = settings.app
        self._producer = _producer(settings, transactional_id=transactional_id(settings.app, task))

    async def start(self) -> None:
        """See Outlet."""
        await self._producer.start()

    async def commit(self, outputs: Iterable[Output], offsets: Mapping[TopicPartition, int]) -> Delivered:
        """See Outlet."""
        producer = self._producer
        try:
            await producer.begin_transaction()
            delivered = await deliver(producer, outputs, now_ms=self._clock.epoch_ms())
            await producer.send_offsets_to_transaction(dict(offsets), self._group)
            await producer.commit_transaction()
        except (KafkaError, TimeoutError, OSError) as error:
            raise OutletError(f"the transaction failed: {error!r}") from error
        return delivered

    async def stop(self) -> None:
        """See Outlet."""
        await self._producer.stop()


class PlainOutlet:
    """Owns a producer without transactions. The tasks of a worker share one outlet."""

    def __init__(
        self,
        settings: Settings,
        note_offsets: Callable[[Mapping[TopicPartition, int]], None],
        *,
        changelogs: Collection[str],
        clock: Clock,
    ) -> None:
        """``changelogs`` are the topics of state. ``note_offsets`` gets the positions after each checkpoint.

        Correctness does not depend on those offsets: positions are part of the state.
        """
        self._producer = _producer(settings, transactional_id=None)
        self._note_offsets = note_offsets
        self._changelogs = changelogs
        self._clock = clock
        self._started = False
        self._turn = asyncio.Lock()
        """one checkpoint at a time: aiokafka queues one batch for each partition, and times out others early"""

    async def start(self) -> None:
        """See Outlet. Each task that shares it calls this; the first call connects."""
        if not self._started:
            self._started = True
            await self._producer.start()

    async def commit(self, outputs: Iterable[Output], offsets: Mapping[TopicPartition, int]) -> Delivered:
        """See Outlet. State comes last: a stored position must not be ahead of the delivered outputs."""
        state = (output for output in outputs if output.topic in self._changelogs)
        others = (output for output in outputs if output.topic not in self._changelogs)
        try:
            async with self._turn:
                now_ms = self._clock.epoch_ms()
                delivered = await deliver(self._producer, others, now_ms=now_ms)
                delivered |= await deliver(self._producer, state, now_ms=now_ms)
        except (KafkaError, TimeoutError, OSError) as error:
            raise OutletError(f"the delivery failed: {error!r}") from error
        self._note_offsets(offsets)
        return delivered

    async def stop(self) -> None:
        """See Outlet. It stays connected for the other tasks; see ``close``."""

    async def close(self) -> None:
        """Disconnect, at the end of the worker."""
        if self._started:
            await self._producer.stop()


async def deliver(producer: AIOKafkaProducer, outputs: Iterable[Output], *, now_ms: int) -> Delivered:
    """Send outputs, in order within each partition, and wait until the broker has all of them. Raises KafkaError."""
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
    # Wait for all, even if one fails: no other code waits for them.
    answers = await asyncio.gather(*(future for _, _, future in sent), return_exceptions=True)
    for (place, records, _), answer in zip(sent, answers, strict=True):
        if isinstance(answer, BaseException):
            raise answer
        delivered[place] = max(delivered.get(place, 0), answer.offset + records)
    return delivered


def _append(batch: Any, output: Output, now_ms: int) -> bool:
    """Append a record; False if the batch is full. The first record of a batch always fits."""
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
