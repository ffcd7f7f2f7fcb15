"""Deletes on request what is stored of an actor."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from detectors.controls import Forgotten
from streams.clock import Clock
from streams.kafka.bulk_reader import BulkReader
from streams.kafka.clients import aiokafka_options
from streams.kafka.errors import BrokerError, describe
from streams.kafka.topics import Topics, absence, partitions_of
from streams.log.actor_blocks import pseudonym
from streams.log.controls import control_frame
from streams.log.hashing import actor_hash, actor_partition
from streams.settings.section import SettingsError
from streams.settings.settings import Settings

LOOK_SECONDS = 1.0


@dataclass(slots=True)
class Forgetting:
    """Result of a request to delete an actor."""

    actor: str
    partition: int
    """of by-actor"""
    deleted: bool
    """whether a worker has confirmed it. If not, the next worker with the role actors does it"""
    log_hours: int
    """hours for which by-actor still has each act of the actor"""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


async def forget(settings: Settings, actor: str, *, wait_seconds: float, clock: Clock) -> Forgetting:
    """Ask the role actors to delete an actor, and wait until it has. Raises SettingsError, BrokerError."""
    if not settings.actors.enabled:
        raise SettingsError("nothing is stored of actors: actors.enabled is false")
    topics = Topics.of(settings)
    count = partitions_of(settings, topics.by_actor)
    if count is None:
        raise BrokerError(absence(settings, topics.by_actor))
    hashed = actor_hash(actor)
    partition = actor_partition(hashed, count)
    name = pseudonym(hashed) if settings.actors.pseudonyms else actor
    async with BulkReader(settings, topics.actors) as reader:
        start = (await reader.spans())[partition][1]
        await _send(settings, topics.by_actor, partition, control_frame([Forgotten(hashed, name)]))
        until = clock.monotonic() + wait_seconds
        while not (deleted := await _deleted(reader, partition, start, name.encode())) and clock.monotonic() < until:
            await clock.sleep(LOOK_SECONDS)
    return Forgetting(actor, partition, deleted, settings.retention_hours)


async def _send(settings: Settings, topic: str, partition: int, value: bytes) -> None:
    producer = AIOKafkaProducer(acks="all", **aiokafka_options(settings.broker))
    try:
        await producer.start()
        await producer.send_and_wait(topic, value, partition=partition)
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        await producer.stop()


async def _deleted(reader: BulkReader, partition: int, start: int, key: bytes) -> bool:
    """Whether the record of the actor is deleted: there is a record with its key and without a value."""
    end = (await reader.spans())[partition][1]
    if end > start:
        async for _, records in reader.read({partition: (start, end)}):
            if any(record.key == key and record.value is None for record in records):
                return True
    return False
