"""The ingest role: turns the records of an input partition into frames of the logs and dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
from faust.types import TP

from streams import metrics
from streams.clock import Clock
from streams.deadletters import Headers
from streams.engine.dead_letters import letter_output
from streams.engine.outlet import Delivered, Output
from streams.engine.task import PENDING_MAX
from streams.ingest.mapping.records import Records
from streams.ingest.outage_wait import OutageWait
from streams.ingest.router import ActorLog, Routed, Router
from streams.ingest.rules.tagging import Tagger
from streams.kafka.partition_reader import StateReader
from streams.kafka.reachability import Answers
from streams.kafka.topics import Topics
from streams.kafka.transport import Batch
from streams.log.hashing import partition_of
from streams.settings.settings import Settings
from streams.state.sealed import MovedError

LOG_APPEND_TIME = 1
"""Kafka's timestamp type for "the broker's clock"."""

INGEST_CHECKPOINT_SECONDS = 0.5
"""Frames can be read only when they are committed, so this delays every flag. A transaction costs about 30 ms."""


PENDING_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of frames from which a checkpoint is due: a task that is behind takes seconds of records for one checkpoint."""


class IngestState(msgspec.Struct, array_like=True):
    """State of a source, for the worker that reads it next."""

    version: int
    position: int
    max_ts: int
    watermark: int
    reliable: int = -1
    """see Router; needed after a restart: otherwise a resumed source without new records stalls event time"""
    moved_to: str = ""
    """the log continues under this name; an older configuration would write to topics that nobody reads"""
    only_history: bool = False
    """see Router; needed after a restart: otherwise all sources wait for one that is in its history"""


class Ingest:
    """The work of one input partition. See Work."""

    role = "ingest"

    def __init__(
        self,
        settings: Settings,
        tp: TP,
        *,
        partitions: int,
        roster: dict[str, int],
        state: StateReader,
        clock: Clock,
        answers: Answers | None = None,
        tagger: Tagger | None = None,
        actor_partitions: int = 0,
    ) -> None:
        """``partitions`` are those of by-target, ``actor_partitions`` those of by-actor (0: it does not exist)."""
        config = next(i for i in settings.inputs if i.topic == tp.topic)
        self.every_seconds = min(INGEST_CHECKPOINT_SECONDS, settings.checkpoint_seconds)
        self._topics = Topics.of(settings)
        self._router = Router(
            config=config,
            partition=tp.partition,
            time=settings.time,
            partitions=partitions,
            tagger=tagger,
            actor_log=ActorLog(actor_partitions, settings.actors.pseudonyms) if actor_partitions else None,
        )
        self._key = f"{tp.topic}/{tp.partition}".encode()
        self._state_partition = partition_of(f"{tp.topic}/{tp.partition}", partitions)
        self._partitions = partitions
        self._roster = roster
        self._state = state
        self._clock = clock
        self._outages = OutageWait(Answers() if answers is None else answers, settings.time.recovery_seconds, clock)
        self._outputs: list[Output] = []
        self._frame_bytes = 0
        """of the outputs"""
        self._position: int
        """set by ``restore``"""

    async def restore(self) -> int:
        """See Work. A source without stored state is read from its beginning. Raises MovedError."""
        position: int | None = None
        async for key, value in self._state.read(self._topics.ingest_state, self._state_partition):
            if key == self._key and value is not None:
                state = msgspec.msgpack.decode(value, type=IngestState)
                if state.moved_to:
                    raise MovedError(f"{self._topics.ingest_state}/{self._state_partition}", state.moved_to)
                position = state.position
                self._router.max_ts, self._router.watermark = state.max_ts, state.watermark
                self._router.reliable, self._router.only_history = state.reliable, state.only_history
        if position is None:
            # No partition has a frame of this source, so all wait for it: its watermark need not rise slowly.
            position = await self._state.beginning(self._router.topic, self._router.partition)
        else:
            self._router.wake(self._clock.epoch_ms())
        self._position = position
        return position

    def take(self, batch: Batch, records: list[Any]) -> Iterator[None]:
        """See Work."""
        now_ms = self._clock.epoch_ms()
        self._position = batch.next
        columns = _columns(records, now_ms)
        if self._router.needs_headers:
            columns.headers = [r.headers for r in records]
        if self._router.needs_timestamp:
            columns.timestamp_ms = [r.timestamp for r in records]
        self._router.held = self._outages.waits()
        routed = Routed()
        yield from self._router.steps(columns, routed, next_offset=batch.next, now_ms=now_ms, roster=self._roster)
        headers = {r.offset: list(r.headers) for r in records} if routed.dead else {}
        self._add_outputs(routed, headers)

    def stored(self, delivered: Delivered) -> Iterable[None]:
        """See Work. Ingest has nothing on disk."""
        return ()

    def close(self) -> None:
        """See Work."""
        metrics.remove(metrics.SOURCE_TIME, self._router.topic, str(self._router.partition))

    def heartbeat(self, now_ms: int, at_end: bool) -> None:
        """See Work."""
        if self._router.max_ts >= 0:
            place = self._router.topic, str(self._router.partition)
            metrics.SOURCE_TIME.labels(*place).set(self._router.max_ts / 1000)
        self._router.held = self._outages.waits()
        self._add_outputs(
            self._router.mark(
                next_offset=self._position,
                now_ms=now_ms,
                at_end=at_end,
                roster=self._roster,
                unheard_ms=self._outages.unheard_ms(),
            )
        )

    def pending(self) -> int:
        """See Work. It is more than allowed if the frames are so large that a checkpoint is due."""
        return PENDING_MAX + 1 if self._frame_bytes > PENDING_BYTES_MAX else len(self._outputs)

    def urgent(self) -> bool:
        """See Work. Ingest takes frequent checkpoints, so nothing is more urgent."""
        return False

    def cut(self, position: int) -> list[Output]:
        """See Work."""
        outputs, self._outputs, self._frame_bytes = self._outputs, [], 0
        router = self._router
        state = IngestState(
            1, position, router.max_ts, router.watermark, router.reliable, only_history=router.only_history
        )
        outputs.append(
            Output(self._topics.ingest_state, self._state_partition, self._key, msgspec.msgpack.encode(state))
        )
        return outputs

    def _add_outputs(self, routed: Routed, headers: dict[int, Headers] | None = None) -> None:
        topics = self._topics
        for reason, count in routed.skipped.items():
            metrics.SKIPPED_RECORDS.labels(reason).inc(count)
        for (name, why), count in routed.unread.items():
            metrics.UNREAD_FIELDS.labels(name, why).inc(count)
        for topic, frames in ((topics.by_target, routed.frames), (topics.by_actor, routed.actor_frames)):
            self._outputs += [Output(topic, place, None, value) for place, value in frames]
            self._frame_bytes += sum(len(value) for _, value in frames)
        for letter in routed.dead:
            metrics.DEAD_LETTERS.labels(str(letter.reason)).inc()
            original = (headers or {}).get(letter.offset, [])
            place = letter.partition % self._partitions
            self._outputs.append(letter_output(topics.dead_letters, place, letter, original))


def _columns(records: list[Any], now_ms: int) -> Records:
    """Convert fetched records to columns. Offsets ascend, so the first and the last show whether there is a gap."""
    size, first = len(records), records[0].offset
    if records[-1].offset - first == size - 1:
        offset = np.arange(first, first + size)
    else:
        offset = np.array([r.offset for r in records], np.int64)
    if LOG_APPEND_TIME in {r.timestamp_type for r in records}:
        clocks = [r.timestamp if r.timestamp_type == LOG_APPEND_TIME else now_ms for r in records]
        clock_ms = np.array(clocks, np.int64)
    else:
        clock_ms = np.full(size, now_ms)
    return Records(offset, [r.key for r in records], [r.value for r in records], clock_ms)
