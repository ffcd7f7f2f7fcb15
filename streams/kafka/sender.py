"""Sends events to the input topics with kafka-python, for ``simulate``, ``replay`` and ``demo``."""

from __future__ import annotations

import itertools
from types import TracebackType
from typing import Any

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from detectors.events.event import Event
from streams.deadletters import DeadLetter
from streams.kafka.clients import kafka_python_options
from streams.kafka.errors import BrokerError, describe
from streams.kafka.topics import Topics, absence
from streams.settings.section import SettingsError
from streams.settings.settings import Settings

FLUSH_SECONDS = 60.0
_encode = msgspec.json.Encoder().encode


class Sender:
    """Sends native events to the inputs that take them, spread evenly over the partitions.

    Round robin, not by target: truecount works with any keys of input records. Event time then advances equally in all
    partitions, which a fast replay needs.
    """

    def __init__(self, settings: Settings, *, idempotent: bool = True) -> None:
        self._settings = settings
        self._failed: BaseException | None = None
        self.sent = 0
        try:
            self._producer: Any = KafkaProducer(
                acks="all",
                enable_idempotence=idempotent,
                compression_type="lz4",
                linger_ms=20,
                batch_size=256 * 1024,
                **kafka_python_options(settings.broker),
            )
        except (KafkaError, OSError, ValueError) as error:
            raise BrokerError(describe(error, settings)) from error
        self._topics: dict[str, str] = {}
        for metric in ("view", "like", "follow"):
            target = settings.input_for(metric)
            if target is not None:
                self._topics[metric] = target.topic
        self._round_robin: dict[str, itertools.cycle[int]] = {}

    def send(self, metric: str | None, value: bytes) -> None:
        """Send one record. With ``metric`` None it goes to the input of views. Raises BrokerError, SettingsError."""
        topic = self._topics.get(metric or "view") or next(iter(self._topics.values()), None)
        if topic is None or (metric is not None and metric not in self._topics):
            raise SettingsError(f"no input takes native {metric or 'any'} events; add one under [[inputs]]")
        self._send(topic, value)
        self.sent += 1

    def send_letter(self, letter: DeadLetter) -> None:
        """Send a dead letter, in the same form as a worker. Raises BrokerError."""
        key, value, headers = letter.record([])
        self._send(Topics.of(self._settings).dead_letters, value, key=key, headers=headers)

    def _send(self, topic: str, value: bytes | None, **options: Any) -> None:
        partitions = self._round_robin.get(topic)
        if partitions is None:
            partitions = self._round_robin[topic] = itertools.cycle(self._partitions(topic))
        try:
            future = self._producer.send(topic, value=value, partition=next(partitions), **options)
        except (KafkaError, OSError) as error:
            raise BrokerError(describe(error, self._settings)) from error
        future.add_errback(self._note_failure)
        if self._failed is not None:
            raise BrokerError(describe(self._failed, self._settings))

    def send_event(self, event: Event) -> None:
        """Send a native event."""
        self.send(event.metric, _encode(event))

    def flush(self) -> None:
        """Wait until all records are delivered. Raises BrokerError if one was not."""
        try:
            self._producer.flush(timeout=FLUSH_SECONDS)
        except (KafkaError, OSError) as error:
            raise BrokerError(describe(error, self._settings)) from error
        if self._failed is not None:
            raise BrokerError(describe(self._failed, self._settings))

    def _partitions(self, topic: str) -> list[int]:
        try:
            found = self._producer.partitions_for(topic)
        except (KafkaError, OSError) as error:
            raise BrokerError(describe(error, self._settings)) from error
        if not found:
            raise BrokerError(absence(self._settings, topic))
        return sorted(found)

    def _note_failure(self, error: BaseException) -> None:
        self._failed = error

    def __enter__(self) -> Sender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.close(timeout=10)
