"""Splits the log of actors into more partitions. State of accounts is not split: it is built again from the log."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from aiokafka.structs import TopicPartition
from faust.types import TP

from detectors.controls import Asked, Removed, ToActors
from detectors.events.key import Key, target_of
from streams.clock import Clock
from streams.engine.outlet import Outlet, Output
from streams.kafka.partition_reader import StateReader
from streams.kafka.topics import Topics
from streams.log.controls import ControlFrame, by_actor_partition, control_frame, decode_controls, is_control, to_actors
from streams.log.frames import ActorFrame, encode, lean, numbers, part_of
from streams.log.hashing import actor_partitions, partition_of
from streams.log.versions import FrameError, decode_actor_frame
from streams.maintenance.task_outlet import end_outlet, make_outlet
from streams.roles import ACTORS_ROLE
from streams.settings.settings import Settings
from streams.state.sealed import META_KEY, Meta, encode_meta, meta_of

FRAMES_AT_ONCE = 200

Progress = Callable[[str, int, int], None]


class ActorLogSplit:
    """The split of one old partition of by-actor."""

    def __init__(self, settings: Settings, after: Settings, partition: int, clock: Clock) -> None:
        self._settings = settings
        self._after = after
        self._old, self._new = Topics.of(settings), Topics.of(after)
        self._partition = partition
        self._numbers = range(partition, after.partitions, settings.partitions)
        self._clock = clock
        self._reader = StateReader(settings, clock=clock)
        self._outlet: Outlet | None = None
        self._meta: Meta | None = None
        self.frames = 0

    async def split(self, progress: Progress) -> None:
        """Fence the old owner, then copy what the log still has. Raises OutletError, errors of Kafka."""
        tp = TP(self._old.by_actor, self._partition)
        self._outlet = make_outlet(self._settings, ACTORS_ROLE.task_id(tp), clock=self._clock)
        await self._outlet.start()
        self._meta = await self._newest_meta()
        if self._meta is not None and self._meta.moved_to:
            return  # already copied by an earlier run
        outputs: list[Output] = []
        async for record in self._reader.records(tp.topic, self._partition):
            outputs += [Output(self._new.by_actor, place, None, value) for place, value in self._split(record.value)]
            self.frames += 1
            if self.frames % FRAMES_AT_ONCE == 0:
                await self._commit(outputs)
                outputs = []
                progress(f"log of actors {self._partition}", record.offset, 0)
        await self._commit(outputs)

    async def mark_moved(self) -> None:
        """Record in the old state where the log has moved, so that a worker of the old configuration stops."""
        if self._meta is not None:
            moved = msgspec.structs.replace(self._meta, moved_to=self._after.state_prefix)
            await self._commit([Output(self._old.actors_state, self._partition, META_KEY, encode_meta(moved))])
        assert self._outlet is not None
        await end_outlet(self._outlet)

    async def _newest_meta(self) -> Meta | None:
        newest: bytes | None = None
        async for key, value in self._reader.read(self._old.actors_state, self._partition):
            if key == META_KEY:
                newest = value
        return None if newest is None else meta_of(newest)

    async def _commit(self, outputs: list[Output]) -> None:
        assert self._outlet is not None
        if outputs:
            await self._outlet.commit(outputs, {TopicPartition(self._old.by_actor, self._partition): 0})

    def _split(self, value: bytes | None) -> list[tuple[int, bytes]]:
        """The shares of one record: (new partition, value)."""
        try:
            if is_control(value):
                return self._controls(decode_controls(value or b""))
            return self._events(decode_actor_frame(value))
        except FrameError:
            return []  # the role counted it as broken

    def _events(self, frame: ActorFrame) -> list[tuple[int, bytes]]:
        if not frame.target:
            return [(number, encode(frame)) for number in self._numbers]
        places = actor_partitions(numbers(frame, "actor").astype(np.int64), self._after.partitions)
        return [(number, encode(lean(part_of(frame, np.flatnonzero(places == number))))) for number in self._numbers]

    def _controls(self, frame: ControlFrame) -> list[tuple[int, bytes]]:
        requests: list[ToActors] = []
        for record in to_actors(frame):
            if isinstance(record, Asked):
                place = partition_of(target_of(Key(record.key)), self._after.partitions)
                requests.append(msgspec.structs.replace(record, partition=place))
            elif isinstance(record, Removed):
                requests.append(record)
        split = by_actor_partition(requests, self._after.partitions)
        return [(place, control_frame([record])) for place, record in split]
