"""The targets role: turns the log of one ``by-target`` partition into flags, corrections and counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import structlog
from faust.types import TP

from detectors.events.key import Key
from detectors.failures import UNCONTAINED
from detectors.records import Outcome
from detectors.state.parts import AUDIT_KINDS, RELATIONS, TARGET_STATES
from detectors.state.relation_pages import key_of_page
from streams import metrics
from streams.clock import Clock
from streams.deadletters import DeadLetter, Headers, Why
from streams.engine.checkpoint_outputs import CheckpointOutputs
from streams.engine.dead_letters import letter_output
from streams.engine.failed_records import Failed, FailureCounts, Positions
from streams.engine.failure_log import FailureLog
from streams.engine.outlet import Delivered, Output
from streams.engine.step_error import StepError
from streams.engine.task import PENDING_MAX
from streams.kafka.partition_reader import StateReader
from streams.kafka.topics import Topics
from streams.kafka.transport import Batch
from streams.settings.settings import Settings
from streams.state.disk import StateOnDisk
from streams.state.keyed import Budget, KeyedState
from streams.state.uncommitted import POSITION_HEADER
from streams.targets.changelog import dump_changes, load
from streams.targets.observations import OutputTimes, count_outcome
from streams.targets.outputs import cloud_headers, correction_value, count_key, count_value, flag_value
from streams.targets.step import PartitionAudit, audit_settings

log = structlog.get_logger()

FRAMES_PER_TURN = 50
"""Frames replayed before other tasks get a turn."""

OUTPUT_BYTES = 500
"""Estimated memory of an output: a count as JSON, its key, and the tuple around them."""
COUNTS_AT_ONCE = 1_000
"""Counts of one step that are collected before they are encoded. Encoded ones take less memory."""

CONFIGS_MAX = 20
"""Most changes of the configuration in the state, not counting the first configuration."""


class Targets:
    """The work of one ``by-target`` partition. See Work."""

    role = "targets"

    def __init__(
        self,
        settings: Settings,
        tp: TP,
        *,
        state: StateReader,
        budget: Budget,
        clock: Clock,
        start: int = 0,
        partial: bool = False,
        failed: Failed | None = None,
        unjudged: Iterable[tuple[int, int]] = (),
        actor_partitions: int = 0,
    ) -> None:
        """Without stored state the log is read from ``start``. ``partial``: there were records before it.

        ``failed`` has the failures of earlier tasks since the last checkpoint. ``unjudged`` are positions that an
        earlier audit of the same log could only count. ``actor_partitions`` are those of by-actor; with 0 nothing is
        asked of the role actors.
        """
        self.every_seconds = settings.checkpoint_seconds
        self._topics = Topics.of(settings)
        self._partition = tp.partition
        self._actor_partitions = actor_partitions
        self._atomic = settings.processing == "exactly_once"
        self._source = f"/{settings.app}/by-target/{tp.partition}"
        self._reader = state
        self._outputs: list[Output] = []
        self._cut: list[tuple[bytes, bytes | None]]
        self._cut_at: int
        """set by ``cut``: the changed records and the position of the last checkpoint"""
        self._flagged = False
        self._times, self._cut_times = OutputTimes(), OutputTimes()
        self._states = KeyedState(budget, partition=tp.partition)
        self._states.partial = partial
        self._start = start
        self._config = settings.version()
        self.configs: list[tuple[int, str]]
        """position → the configuration from there on; see Meta. Set by ``restore``"""
        self._disk = StateOnDisk(settings, self._topics.targets_state, tp.partition, AUDIT_KINDS)
        self._failed: Failed = {} if failed is None else failed
        self._clock = clock
        self._failures = FailureLog(tp.partition, clock)
        self.audit = PartitionAudit(
            audit_settings(settings, tp.partition), self._states, self._failed, app=f"{settings.app}/"
        )
        self.audit.unjudged = Positions(unjudged)

    async def restore(self) -> int:
        """See Work. Keyed state is read from disk and changelog; what was open at the checkpoint, from the log."""
        saved = await self._disk.restore(self._reader)
        self._states.use_store(self._disk.store)
        restored = load(self.audit, saved)
        for letter in self._disk.damaged:
            self._report_damaged(letter)
        if restored is None:
            self._states.restored([])
            self.configs = [(self._start, self._config)]
            return self._start
        self._follow_config(self._disk.configs, restored.position)
        self._states.restored(self._disk.totals)
        count = 0
        async for record in self._reader.records(
            self._topics.by_target, self._partition, start=restored.replay_from, end=restored.position
        ):
            try:
                self.audit.replay(record.value, record.offset)
            except StepError as error:
                self._log_step(record.offset, error)
                raise
            count += 1
            if count % FRAMES_PER_TURN == 0:
                await asyncio.sleep(0)
        return restored.position

    def _follow_config(self, configs: list[tuple[int, str]], position: int) -> None:
        """Note the present configuration from ``position`` on: the log and this list reproduce every flag."""
        self.configs = list(configs)
        if not configs or configs[-1][1] != self._config:
            self.configs.append((position, self._config))
            self.configs[1:] = self.configs[1:][-CONFIGS_MAX:]
            log.info("another configuration from here on", partition=self._partition, at=position, config=self._config)

    def _report_damaged(self, letter: DeadLetter) -> None:
        """Emit a dead letter for a damaged state record. Its key starts again, with counts marked as incomplete."""
        metrics.DAMAGED_STATE.inc()
        metrics.DEAD_LETTERS.labels(str(letter.reason)).inc()
        self._outputs.append(letter_output(self._topics.dead_letters, self._partition, letter, []))
        key = letter.key or b""
        if key.startswith(TARGET_STATES.prefix):
            self.audit.restart_key(Key(key[len(TARGET_STATES.prefix) :].decode()))
        elif key.startswith(RELATIONS.prefix):
            self.audit.lose_relations(key_of_page(key[len(RELATIONS.prefix) :].decode()))

    def take(self, batch: Batch, records: list[Any]) -> Iterator[None]:
        """See Work. One record may close a window of all targets of the partition."""
        outcome = Outcome()
        audit = self.audit
        skipped, broken, counted = audit.skipped, audit.broken, audit.counted_only
        for record in records:
            try:
                for _ in audit.steps(record.value, record.offset, outcome):
                    if len(outcome.counts) >= COUNTS_AT_ONCE:
                        requests, outcome.requests = outcome.requests, []  # sent when the record is done
                        self._add_outputs(outcome.drain(), record.offset)
                        outcome.requests = requests
                    yield
            except StepError as error:
                self._log_step(record.offset, error)
                raise
            if outcome.requests:
                self._add_requests(outcome, record.offset)
            if outcome.failures or outcome.uncounted:
                self._add_outputs(outcome.drain(), record.offset)
            yield
        metrics.REDELIVERED.inc(audit.skipped - skipped)
        metrics.BROKEN_FRAMES.inc(audit.broken - broken)
        metrics.UNJUDGED_STEPS.inc(audit.counted_only - counted)
        self._add_outputs(outcome, record.offset)  # of the last record

    def _add_requests(self, outcome: Outcome, position: int) -> None:
        frames = self.audit.requests_of(outcome, position, self._actor_partitions)
        self._outputs += [Output(self._topics.by_actor, place, None, value) for place, value in frames]

    def _log_step(self, position: int, error: StepError) -> None:
        metrics.FAILED_STEPS.inc()
        log.error(
            "a record of the log could not be audited; the task starts again and only counts its events",
            partition=self._partition,
            position=position,
            failures=sum(self._failed.get(position, FailureCounts())),
            exc_info=error.__cause__,
        )

    def heartbeat(self, now_ms: int, at_end: bool) -> None:
        """See Work. Event time comes from the log alone, so this only updates gauges."""
        self._states.settle()
        if self.audit.now_ms >= 0:
            partition = str(self._partition)
            metrics.EVENT_TIME.labels(partition).set(self.audit.now_ms / 1000)
            metrics.VIEWS_AT_ONCE.labels(partition).set(float(self.audit.emits_views_at_start()))

    def pending(self) -> int:
        """See Work. It is more than allowed if so many keys have changed that a checkpoint is due."""
        return PENDING_MAX + 1 if self._states.checkpoint_due() else len(self._outputs)

    def urgent(self) -> bool:
        """See Work. Flags should be readable soon."""
        return self._flagged

    def cut(self, position: int) -> Iterable[Output]:
        """See Work."""
        outputs, self._outputs, self._flagged = self._outputs, [], False
        self._cut_times, self._times = self._times, OutputTimes()
        self._cut_at = position
        states = self._states
        records = dump_changes(self.audit, position, born=self._disk.born, totals=states.totals(), configs=self.configs)
        self._cut = list(records)
        headers = None if self._atomic else [(POSITION_HEADER, b"%d" % position)]
        place = self._topics.targets_state, self._partition
        return CheckpointOutputs(outputs, states.spilled, self._cut, place=place, headers=headers)

    def stored(self, delivered: Delivered) -> Iterator[None]:
        """See Work. It writes to the disk what Kafka has committed."""
        self._cut_times.observe(self._clock.epoch_ms())
        records, self._cut = self._cut, []
        yield from self._states.store_spilled()  # older than the records, so they are written first
        self._disk.write(records, delivered[self._topics.targets_state, self._partition])
        self._states.stored()
        for position in [position for position in self._failed if position < self._cut_at]:
            del self._failed[position]  # now it is part of the stored state

    def close(self) -> None:
        """See Work."""
        for gauge in (metrics.EVENT_TIME, metrics.VIEWS_AT_ONCE):
            metrics.remove(gauge, str(self._partition))
        self._states.forget()
        self._disk.close()

    def _report_failures(self, outcome: Outcome, position: int) -> None:
        """Report failures of detection on the record at a position, and records that could not be counted."""
        for part, failures in outcome.failures.items():
            metrics.UNJUDGED_WINDOWS.labels(part).inc(failures)
        for failure in outcome.unjudged:
            self._failures.contained(failure, position)
        topic, partition = self._topics.by_target, self._partition
        for at, value, message in outcome.uncounted:
            log.error("a record of the log cannot be counted", partition=partition, position=at, why=message)
            letter = DeadLetter(topic, partition, at, None, value, Why.UNCOUNTABLE, message)
            metrics.DEAD_LETTERS.labels(str(letter.reason)).inc()
            self._outputs.append(letter_output(self._topics.dead_letters, partition, letter, []))

    def _add_output(
        self, topic: str, target: str, encode: Callable[[Any], bytes], record: Any, headers: Headers | None = None
    ) -> None:
        """Add an output to the next checkpoint. One that cannot be encoded is skipped, so that the others are sent."""
        try:
            self._outputs.append(Output(topic, self._partition, target.encode(), encode(record), headers))
        except UNCONTAINED:
            raise
        except Exception as error:
            metrics.UNJUDGED_WINDOWS.labels("output").inc()
            log.exception("an output cannot be encoded and is skipped", topic=topic, target=target, error=repr(error))

    def _add_outputs(self, outcome: Outcome, position: int) -> None:
        self._report_failures(outcome, position)
        topics, partition, outputs = self._topics, self._partition, self._outputs
        self._flagged = self._flagged or bool(outcome.flags)
        for flag in outcome.flags:
            self._add_output(topics.flagged_events, flag.target, flag_value, flag, cloud_headers(flag, self._source))
        for correction in outcome.corrections:
            self._add_output(topics.corrections, correction.target, correction_value, correction)
        for count in outcome.counts:
            outputs.append(Output(topics.audited_counts, partition, count_key(count), count_value(count)))
        self._states.other_bytes = self.audit.memory_bytes() + OUTPUT_BYTES * len(outputs)
        self._times.add(outcome)
        count_outcome(outcome)
