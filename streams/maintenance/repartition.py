"""Splits log and state of an installation into new topics with a multiple of the partitions.

The old topics do not change until the copy is complete; only the output topics get more partitions before. Then each
old partition's state records where it has moved, so that no worker with the old configuration continues it.
An interrupted split can be run again: frames that are then twice in the new log are recognised by their sources'
offsets.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import msgspec
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from faust.types import TP
from kafka.errors import KafkaError as AdminError

from detectors.events.event import METRICS
from detectors.events.key import Key, metric_of, target_of
from detectors.state.parts import AUDIT_KINDS, RELATIONS, TARGET_STATES, RecordKind
from detectors.state.relation_pages import key_of_page
from streams.clock import Clock
from streams.engine.outlet import Outlet, OutletError, Output
from streams.ingest.work import IngestState
from streams.kafka.errors import BrokerError, describe
from streams.kafka.partition_reader import StateReader
from streams.kafka.topics import BY_TARGET, TARGETS_STATE, Topics, admin, create, grow, partitions_of
from streams.log.controls import decode_controls, is_control, to_targets
from streams.log.hashing import partition_of
from streams.log.versions import FrameError, decode
from streams.maintenance.rebuild import LogError
from streams.maintenance.reroute import Child
from streams.maintenance.reroute_actors import ActorLogSplit
from streams.maintenance.task_outlet import end_outlet, make_outlet
from streams.roles import INGEST, TARGETS, plan, used_roles
from streams.settings.section import SettingsError
from streams.settings.settings import Settings
from streams.state.disk import StateOnDisk
from streams.state.gauges import NOTHING, contribution_of
from streams.state.parts import kind_of
from streams.state.sealed import (
    META_KEY,
    Meta,
    MovedError,
    StateError,
    decode_target,
    encode_meta,
    encode_target,
    meta_of,
)
from streams.state.store import StoreError

FRAMES_AT_ONCE = 200
KEYS_AT_ONCE = 2_000

Progress = Callable[[str, int, int], None]
"""Called with what is copied, how much is done, and of how much (0: not known)."""


@dataclass(slots=True)
class Summary:
    """Result of a split."""

    partitions: int
    into: int
    prefix: str
    targets: int = 0
    frames: int = 0
    actor_frames: int = 0
    sources: int = 0
    seconds: float = 0.0


def split(settings: Settings, partitions: int, into: str) -> Settings:
    """The settings after the split. Raises SettingsError."""
    if partitions <= settings.partitions or partitions % settings.partitions:
        raise SettingsError(
            f"--partitions {partitions}: must be a multiple of the current {settings.partitions}, such as"
            f" {2 * settings.partitions}: only then are the targets of a new partition all from one old partition"
        )
    prefix = into if into.endswith((".", "-", "_")) else f"{into}."
    if prefix in (BY_TARGET.prefix(settings), TARGETS_STATE.prefix(settings)):
        raise SettingsError(f"--into {into}: log or state have this prefix now; choose another name")
    changed = {"partitions": partitions, "log_prefix": prefix, "state_prefix": prefix}
    try:
        return Settings.model_validate({**settings.model_dump(), **changed})
    except ValueError:
        raise SettingsError(f"--into {into}: may contain only letters, digits, '.', '_' and '-'") from None


async def repartition(settings: Settings, after: Settings, *, clock: Clock, progress: Progress) -> Summary:
    """Split all partitions. Raises LogError, BrokerError."""
    began = clock.monotonic()
    old = Topics.of(settings)
    count = partitions_of(settings, old.by_target)
    if count != settings.partitions:
        problem = "does not exist" if count is None else f"has {count} partitions, not {settings.partitions}"
        raise LogError(f"{old.by_target} {problem}; set prefix, log_prefix and partitions to those of the installation")
    _refuse_members(settings)
    create(after, plan(after, inputs=False))
    summary = Summary(settings.partitions, after.partitions, after.log_prefix)
    try:
        jobs = [_Parent(settings, after, partition, summary, clock) for partition in range(settings.partitions)]
        actors = [
            ActorLogSplit(settings, after, partition, clock)
            for partition in range(settings.partitions if settings.actors.enabled else 0)
        ]
        await _fence_ingest(settings, clock)
        for job in jobs:
            await job.split(progress)
        for split_log in actors:
            await split_log.split(progress)
        summary.sources = await _move_sources(settings, after, clock)
        grow(after, [topic for role in used_roles(after) for topic in role.aligned])
        await _mark_sources_moved(settings, after, clock)
        for job in jobs:
            await job.mark_moved()
        for split_log in actors:
            await split_log.mark_moved()
        summary.actor_frames = sum(job.frames for job in actors)
    except (StateError, StoreError, OutletError) as error:
        raise LogError(f"the split was interrupted: {error}. Run the same command again") from error
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    summary.seconds = round(clock.monotonic() - began, 3)
    return summary


def _refuse_members(settings: Settings) -> None:
    client = admin(settings)
    try:
        described = client.describe_groups([settings.app])
    except AdminError as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        client.close()
    members = described.get(settings.app, {}).get("members") or []
    if members:
        raise LogError(f"{len(members)} workers of {settings.app} are running; stop all of them first (SIGTERM)")


async def _fence_ingest(settings: Settings, clock: Clock) -> None:
    """Fence the ingest tasks: open transactions of a frozen worker are aborted, and it cannot write any more."""
    if settings.processing != "exactly_once":
        return
    for source in settings.inputs:
        for partition in range(partitions_of(settings, source.topic) or 0):
            outlet = make_outlet(settings, INGEST.task_id(TP(source.topic, partition)), clock=clock)
            await outlet.start()
            await outlet.stop()


async def _sources(settings: Settings, clock: Clock) -> dict[bytes, IngestState]:
    """The ingest state of each source in the old installation."""
    topic = Topics.of(settings).ingest_state
    reader, latest = StateReader(settings, clock=clock), dict[bytes, IngestState]()
    for partition in range(settings.partitions):
        async for key, value in reader.read(topic, partition):
            if key is not None and value is not None:
                latest[key] = msgspec.msgpack.decode(value, type=IngestState)
    return latest


async def _move_sources(settings: Settings, after: Settings, clock: Clock) -> int:
    sources = await _sources(settings, clock)
    remaining = {key: state for key, state in sources.items() if not state.moved_to}
    await _write_sources(settings, after, remaining, clock)
    return len(sources)


async def _mark_sources_moved(settings: Settings, after: Settings, clock: Clock) -> None:
    """Record in the old state where the sources have moved, so that a worker of the old configuration stops."""
    sources = await _sources(settings, clock)
    moved = {key: msgspec.structs.replace(state, moved_to=after.log_prefix) for key, state in sources.items()}
    await _write_sources(settings, settings, moved, clock)


async def _write_sources(settings: Settings, into: Settings, sources: dict[bytes, IngestState], clock: Clock) -> None:
    old, new = Topics.of(settings), Topics.of(into)
    outputs = [
        Output(new.ingest_state, partition_of(key.decode(), into.partitions), key, msgspec.msgpack.encode(state))
        for key, state in sources.items()
    ]
    if not outputs:
        return
    outlet = make_outlet(settings, "repartition", clock=clock)
    await outlet.start()
    try:
        await outlet.commit(outputs, {TopicPartition(old.by_target, 0): 0})
    finally:
        await end_outlet(outlet)


class _Parent:
    """The split of one old partition."""

    def __init__(self, settings: Settings, after: Settings, partition: int, summary: Summary, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._old, self._new = Topics.of(settings), Topics.of(after)
        self._prefix = after.log_prefix
        self._partition = partition
        self._span_ms = settings.time.tick_seconds * 1000
        self._summary = summary
        self._numbers = range(partition, after.partitions, settings.partitions)
        self._partitions = after.partitions
        self._reader = StateReader(settings, clock=clock)
        self._disk = StateOnDisk(settings, self._old.targets_state, partition, AUDIT_KINDS)
        self._outlet: Outlet | None = None
        self._meta: Meta | None = None

    async def split(self, progress: Progress) -> None:
        """Fence the old owner, then copy log and state."""
        self._outlet = make_outlet(
            self._settings, TARGETS.task_id(TP(self._old.by_target, self._partition)), clock=self._clock
        )
        await self._outlet.start()
        try:
            saved = await self._disk.restore(self._reader)
        except MovedError as moved:
            self._disk.close()
            if moved.to != self._prefix:
                raise LogError(str(moved)) from moved
            return  # already copied by an earlier run
        try:
            if self._disk.damaged:
                raise LogError(
                    f"{self._old.targets_state}/{self._partition} has {len(self._disk.damaged)} damaged records. Run a"
                    " worker once, which sets them aside, then run this command again"
                )
            self._meta = meta_of(saved[META_KEY]) if META_KEY in saved else None
            children = [Child(n, self._partitions, self._meta, self._span_ms) for n in self._numbers]
            await self._copy_log(children, progress)
            if self._meta is not None:
                await self._copy_state(children, saved, progress)
        finally:
            self._disk.close()

    async def mark_moved(self) -> None:
        """Record in the old state where it has moved."""
        assert self._outlet is not None
        if self._meta is not None:
            moved = msgspec.structs.replace(self._meta, moved_to=self._prefix)
            await self._commit([Output(self._old.targets_state, self._partition, META_KEY, encode_meta(moved))])
        await end_outlet(self._outlet)

    async def _commit(self, outputs: list[Output]) -> dict[tuple[str, int], int]:
        assert self._outlet is not None
        position = 0 if self._meta is None else self._meta.position
        return await self._outlet.commit(outputs, {TopicPartition(self._old.by_target, self._partition): position})

    async def _copy_log(self, children: list[Child], progress: Progress) -> None:
        """Copy the frames that open ticks and recent ids are computed from, and those not read yet."""
        seen: dict[str, int] = {}
        start: int | None = None
        if self._meta is not None:
            seen, start = dict(self._meta.audit["replay_sources"]), int(self._meta.audit["replay_from"])
        waiting: dict[int, list[bytes]] = {child.partition: [] for child in children}
        async for record in self._reader.records(self._old.by_target, self._partition, start=start):
            try:
                if is_control(record.value):
                    controls = list(to_targets(decode_controls(record.value)))
                    for child in children:
                        waiting[child.partition].append(child.controls(controls, record.offset))
                    continue
                frame = decode(record.value)
            except FrameError:
                continue  # the audit counted it as broken
            for child in children:
                waiting[child.partition].append(child.frame(frame, record.offset, seen))
            seen[frame.source] = max(frame.next, seen.get(frame.source, 0))
            self._summary.frames += 1
            if len(waiting[children[0].partition]) >= FRAMES_AT_ONCE:
                await self._write_frames(children, waiting)
                progress(f"log of partition {self._partition}", record.offset, 0)
        await self._write_frames(children, waiting)

    async def _write_frames(self, children: list[Child], waiting: dict[int, list[bytes]]) -> None:
        topic = self._new.by_target
        outputs = [Output(topic, place, None, value) for place, values in waiting.items() for value in values]
        if not outputs:
            return
        delivered = await self._commit(outputs)
        for child in children:
            values = waiting[child.partition]
            child.record_copied(delivered[topic, child.partition] - len(values), len(values))
            values.clear()

    async def _copy_state(self, children: list[Child], saved: dict[bytes, bytes], progress: Progress) -> None:
        by_number = {child.partition: child for child in children}
        totals = {number: [list(NOTHING) for _ in METRICS] for number in by_number}
        outputs: list[Output] = []
        topic = self._new.targets_state
        done = 0
        async for key, value in self._keyed(saved, TARGET_STATES):
            name = Key(key[len(TARGET_STATES.prefix) :].decode())
            number = partition_of(target_of(name), self._partitions)
            state = by_number[number].translated(decode_target(value))
            row = totals[number][metric_of(name)]
            for index, part in enumerate(contribution_of(state)):
                row[index] += part
            outputs.append(Output(topic, number, key, encode_target(state)))
            done += 1
            if len(outputs) >= KEYS_AT_ONCE:
                await self._commit(outputs)
                outputs = []
                progress(f"state of partition {self._partition}", done, 0)
        self._summary.targets += done
        async for key, value in self._keyed(saved, RELATIONS):
            name = key_of_page(key[len(RELATIONS.prefix) :].decode())
            outputs.append(Output(topic, partition_of(target_of(name), self._partitions), key, value))
            if len(outputs) >= KEYS_AT_ONCE:
                await self._commit(outputs)
                outputs = []
                progress(f"relations of partition {self._partition}", 0, 0)
        for child in children:
            place = child.partition
            outputs += [Output(topic, place, key, value) for key, value in saved.items() if _is_copied(key)]
            meta = child.meta(born=uuid.uuid4().hex, totals=totals[place])
            outputs.append(Output(topic, place, META_KEY, encode_meta(meta)))
        await self._commit(outputs)

    async def _keyed(self, saved: dict[bytes, bytes], kind: RecordKind) -> AsyncIterator[tuple[bytes, bytes]]:
        if self._disk.store is not None:
            for item in self._disk.store.scan(kind.prefix):
                yield item
        for key, value in saved.items():
            if kind_of(key, AUDIT_KINDS) is kind:
                yield key, value


def _is_copied(key: bytes) -> bool:
    """Whether a record is copied to every new partition unchanged."""
    kind = kind_of(key, AUDIT_KINDS)
    return kind is not None and not kind.keyed
