"""Audits the retained log again under another configuration, into separate topics: backfills after a rule change.

It runs the worker's own task (``Targets`` on its outlet) on one partition after the other, and reads the log without a
consumer group. A checkpoint is a transaction of outputs, state and position. Called again, an interrupted rebuild
continues from its last checkpoint, and a finished one does nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from faust.types import TP

from streams.clock import Clock
from streams.engine.failed_records import Failed
from streams.engine.outlet import OutletError
from streams.engine.step_error import StepError
from streams.engine.task import PENDING_MAX
from streams.failures import Failure
from streams.kafka.clients import aiokafka_options
from streams.kafka.errors import BrokerError, describe
from streams.kafka.partition_reader import StateReader
from streams.kafka.topics import BY_TARGET, Topics, create, partitions_of
from streams.kafka.transport import Batch
from streams.maintenance.task_outlet import end_outlet, make_outlet
from streams.roles import TARGETS, plan
from streams.settings.section import SettingsError
from streams.settings.settings import Settings
from streams.state.keyed import Budget
from streams.state.sealed import StateError
from streams.state.store import StoreError
from streams.targets.work import Targets

BATCH_FRAMES = 50
"""Frames that are audited between two checks of the clock."""

Progress = Callable[[int, int, int], None]
"""Called with the partition, the offset reached, and the end offset."""


class LogError(Failure):
    """The log cannot be rebuilt or split as requested. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a rebuild starts: at the first retained record, at an offset of each partition, or at a time (epoch ms)."""

    offset: int | None = None
    moment_ms: int | None = None

    @classmethod
    def parse(cls, text: str) -> Start:
        """Read ``beginning``, an offset, or an ISO 8601 time (UTC if it has no zone). Raises SettingsError."""
        if text == "beginning":
            return cls()
        if text.isdecimal():
            return cls(offset=int(text))
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise SettingsError(
                f"--from {text}: must be 'beginning', an offset such as 1042, or a time such as 2026-03-01T00:00:00Z"
            ) from None
        return cls(moment_ms=round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000))


@dataclass(slots=True)
class PartitionSummary:
    """Result of one partition: offsets of the log, and records written."""

    partition: int
    start: int
    resumed_at: int | None
    end: int
    frames: int = 0
    events: int = 0
    broken: int = 0
    flagged_events: int = 0
    corrections: int = 0
    audited_counts: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Summary:
    """Result of a rebuild."""

    log: str
    app: str
    prefix: str
    config: str
    partitions: list[PartitionSummary] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the partitions, and their sums."""
        summed = ("frames", "events", "broken", "flagged_events", "corrections", "audited_counts")
        sums = {name: sum(getattr(part, name) for part in self.partitions) for name in summed}
        seconds = round(sum(part.seconds for part in self.partitions), 3)
        return {**asdict(self), **sums, "seconds": seconds}


def parallel_settings(settings: Settings, into: str) -> Settings:
    """Settings of an installation named ``into`` that audits the log of this one. Raises SettingsError."""
    app = into.rstrip("._-")
    prefix = into if into != app else f"{into}."
    if not app:
        raise SettingsError(f"--into {into}: must be a name, such as truecount-v2")
    if app == settings.app or prefix in (settings.prefix, settings.log_prefix, settings.state_prefix):
        raise SettingsError(f"--into {into}: is the name of the live installation; choose another, such as {app}-v2")
    changed = {"app": app, "prefix": prefix, "log_prefix": BY_TARGET.prefix(settings), "state_prefix": ""}
    try:
        return Settings.model_validate({**settings.model_dump(), **changed})
    except ValueError:
        raise SettingsError(f"--into {into}: may contain only letters, digits, '.', '_' and '-'") from None


async def rebuild(
    settings: Settings,
    start: Start,
    *,
    partitions: Iterable[int] | None = None,
    unjudged: Mapping[int, list[tuple[int, int]]] | None = None,
    clock: Clock,
    progress: Progress,
) -> Summary:
    """Audit the log from ``start`` to its current end. Raises LogError, BrokerError.

    ``unjudged`` are positions that the live audit only counted (``unjudged.unjudged_of``); they are only counted again.
    """
    topics = Topics.of(settings)
    wanted = _wanted(settings, topics.by_target, partitions)
    ranges = await _ranges(settings, topics.by_target, wanted, start)
    create(settings, plan(settings, inputs=False))
    summary = Summary(topics.by_target, settings.app, settings.prefix, settings.version())
    for partition in wanted:
        first, begin, end = ranges[partition]
        counted = (unjudged or {}).get(partition, [])
        whole = PartitionSummary(partition, begin, None, end)
        try:
            summary.partitions.append(
                await _audit_partition(
                    settings,
                    whole,
                    partial=first > 0 or begin > first,
                    unjudged=counted,
                    clock=clock,
                    progress=progress,
                )
            )
        except (StateError, StoreError, OutletError) as error:
            raise LogError(
                f"the rebuild of partition {partition} was interrupted: {error}. Run the same command again; it"
                " continues from the last checkpoint"
            ) from error
        except (KafkaError, OSError) as error:
            raise BrokerError(describe(error, settings)) from error
    return summary


def _wanted(settings: Settings, log: str, partitions: Iterable[int] | None) -> list[int]:
    """The partitions to audit, in order. Raises LogError if the log does not fit the configuration."""
    count = partitions_of(settings, log)
    if count is None:
        raise LogError(f"topic {log} does not exist; set prefix and log_prefix to those of the live installation")
    if count != settings.partitions:
        raise LogError(
            f"{log} has {count} partitions, the configuration has {settings.partitions}; set"
            f" partitions = {count}. For more partitions, see `truecount repartition`"
        )
    wanted = sorted(set(range(count) if partitions is None else partitions))
    unknown = [str(p) for p in wanted if not 0 <= p < count]
    if unknown:
        raise LogError(f"{log} has no partition {', '.join(unknown)}; it has partitions 0 to {count - 1}")
    return wanted


async def _audit_partition(
    settings: Settings,
    requested: PartitionSummary,
    *,
    partial: bool,
    unjudged: list[tuple[int, int]],
    clock: Clock,
    progress: Progress,
) -> PartitionSummary:
    """Audit one partition. After a record that fails, restart from the last checkpoint, as a worker does."""
    failed: Failed = {}
    while True:
        job = _Job(settings, requested, partial=partial, failed=failed, unjudged=unjudged, clock=clock)
        try:
            return await job.run(progress)
        except StepError:
            continue


async def _ranges(
    settings: Settings, topic: str, partitions: list[int], start: Start
) -> dict[int, tuple[int, int, int]]:
    """(first retained offset, start offset, end offset) of each partition."""
    consumer = AIOKafkaConsumer(
        isolation_level="read_committed", enable_auto_commit=False, **aiokafka_options(settings.broker)
    )
    parts = [TopicPartition(topic, partition) for partition in partitions]
    try:
        await consumer.start()
        try:
            first = await consumer.beginning_offsets(parts)
            ends = await consumer.end_offsets(parts)
            begins: dict[TopicPartition, int] = dict(first)
            if start.offset is not None:
                begins = dict.fromkeys(parts, start.offset)
            elif start.moment_ms is not None:
                found = await consumer.offsets_for_times(dict.fromkeys(parts, start.moment_ms))
                begins = {tp: ends[tp] if found[tp] is None else found[tp].offset for tp in parts}
        finally:
            await consumer.stop()
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    _check_retained(settings, topic, begins, first, ends)
    return {tp.partition: (first[tp], begins[tp], ends[tp]) for tp in parts}


def _check_retained(settings: Settings, topic: str, begins: Any, first: Any, ends: Any) -> None:
    gone = [f"partition {tp.partition} begins at {first[tp]}" for tp in begins if begins[tp] < first[tp]]
    if gone:
        raise LogError(
            f"{topic} no longer has the records from --from on: {', '.join(gone)} (retention_hours ="
            f" {settings.retention_hours}). Use --from beginning, or choose partitions with --partition"
        )
    beyond = [f"partition {tp.partition} ends at {ends[tp]}" for tp in begins if begins[tp] > ends[tp]]
    if beyond:
        raise LogError(f"{topic} ends before --from: {', '.join(beyond)}; choose an earlier --from")


class _Job:
    """The rebuild of one partition."""

    def __init__(
        self,
        settings: Settings,
        requested: PartitionSummary,
        *,
        partial: bool,
        failed: Failed,
        unjudged: list[tuple[int, int]],
        clock: Clock,
    ) -> None:
        partition, start, end = requested.partition, requested.start, requested.end
        self._settings = settings
        self._topics = Topics.of(settings)
        self._tp = TP(self._topics.by_target, partition)
        self._end = end
        self._clock = clock
        self._reader = StateReader(settings, clock=clock)
        self._budget = Budget(settings.state.memory_bytes)
        self._work = Targets(
            settings,
            self._tp,
            state=self._reader,
            budget=self._budget,
            clock=clock,
            start=start,
            partial=partial,
            failed=failed,
            unjudged=unjudged,
        )
        self._outlet = make_outlet(settings, TARGETS.task_id(self._tp), clock=clock)
        self.summary = PartitionSummary(partition, start, None, end)
        self._written: Counter[str] = Counter()

    async def run(self, progress: Progress) -> PartitionSummary:
        """Restore, audit to the end, and checkpoint on the way. Raises errors of Kafka and of the state."""
        began = self._clock.monotonic()
        try:
            await self._outlet.start()  # fences another rebuild or worker of this task
            position = await self._work.restore()
            self._check_same(position)
            if position < self._end:
                await self._audit(position, progress)
        finally:
            self._work.close()
            await end_outlet(self._outlet)
        summary = self.summary
        summary.events, summary.broken = self._work.audit.events, self._work.audit.broken
        summary.flagged_events = self._written[self._topics.flagged_events]
        summary.corrections = self._written[self._topics.corrections]
        summary.audited_counts = self._written[self._topics.audited_counts]
        summary.seconds = round(self._clock.monotonic() - began, 3)
        return summary

    def _check_same(self, position: int) -> None:
        summary, settings, topic = self.summary, self._settings, self._topics.targets_state
        requested = (summary.start, settings.version())
        if self._work.configs != [requested]:
            stored = ", ".join(f"from offset {offset}, config {config}" for offset, config in self._work.configs)
            raise LogError(
                f"{topic}/{summary.partition} has the state of another rebuild ({stored});"
                f" this one is from offset {requested[0]}, config {requested[1]}. Choose"
                f" another --into, or delete the topics with the prefix {settings.prefix}"
            )
        if position > summary.start:
            summary.resumed_at = position
            if settings.processing == "at_least_once" and position < summary.end:
                raise LogError(
                    f"{topic}/{summary.partition} has the state of an interrupted rebuild. Without"
                    " transactions, continuing could write outputs twice. Choose another --into"
                )

    async def _audit(self, position: int, progress: Progress) -> None:
        work, end, partition = self._work, self._end, self._tp.partition
        checkpoint_at = self._clock.monotonic() + work.every_seconds
        frames: list[Any] = []
        async for record in self._reader.records(self._tp.topic, partition, start=position, end=end):
            frames.append(record)
            if len(frames) < BATCH_FRAMES:
                continue
            position = self._take(frames)
            frames = []
            progress(partition, position, end)
            if work.pending() > PENDING_MAX or self._clock.monotonic() > checkpoint_at:
                await self._checkpoint(position)
                checkpoint_at = self._clock.monotonic() + work.every_seconds
        if frames:
            self._take(frames)
        await self._checkpoint(end)
        progress(partition, end, end)

    def _take(self, frames: list[Any]) -> int:
        batch = Batch(self._tp, int(frames[0].offset), frames)
        for _ in self._work.take(batch, frames):
            pass
        self.summary.frames += len(frames)
        return batch.next

    async def _checkpoint(self, position: int) -> None:
        self._work.heartbeat(self._clock.epoch_ms(), False)
        outputs = self._work.cut(position)
        self._written.update(output.topic for output in outputs)
        delivered = await self._outlet.commit(outputs, {TopicPartition(*self._tp): position})
        for _ in self._work.stored(delivered):
            pass
