"""The targets role: the log of one ``by-target`` partition into flags, corrections and counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import structlog
from faust.types import TP

from detectors.events.event import METRICS
from detectors.events.key import Key, metric_name_of
from detectors.failures import UNCONTAINED
from detectors.records import Flag, Outcome
from detectors.state.case import EXPLAINED
from detectors.state.parts import AUDIT_KINDS, TARGET_STATES
from streams import metrics
from streams.clock import Clock
from streams.deadletters import DeadLetter, Headers, Why
from streams.engine.letters import letter_output
from streams.engine.outlet import Delivered, Output
from streams.engine.task import PENDING_MAX, StepError
from streams.kafka.partition_reader import StateReader
from streams.kafka.topics import Topics
from streams.kafka.transport import Batch
from streams.settings.settings import Settings
from streams.state.disk import POSITION_HEADER, StateOnDisk
from streams.state.keyed import Budget, KeyedState
from streams.targets.changelog import dump_changes, load
from streams.targets.outputs import cloud_headers, correction_value, count_key, count_value, flag_value
from streams.targets.step import PartitionAudit, audit_settings
from streams.targets.unjudged import Failed, FailureLog, Positions, Tries

log = structlog.get_logger()

FRAMES_PER_TURN = 50
"""Frames replayed before other tasks get a turn."""

OUTPUT_BYTES = 500
"""About what an output takes: a count as JSON, its key, the tuple around them."""
COUNTS_KEPT = 1_000
"""Counts that are told in one step of time before they are made the bytes that are sent, which take less room."""

CONFIGS_KEPT = 20
"""Changes of the configuration that are remembered, the first one besides."""


class Targets:
    """Work of one ``by-target`` partition."""

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
    ) -> None:
        """Without saved state the log is read from ``start``; ``partial`` if there was something before it.

        ``failed`` outlives the task: it says how often records have failed since its last checkpoint. ``unjudged``
        are positions that an earlier audit of the same log could only count.
        """
        self.every_seconds = settings.checkpoint_seconds
        self._topics = Topics.of(settings)
        self._partition = tp.partition
        self._atomic = settings.processing == "exactly_once"
        self._source = f"/{settings.app}/by-target/{tp.partition}"
        self._state = state
        self._outputs: list[Output] = []
        self._cut: list[tuple[bytes, bytes | None]] = []
        self._flagged = False
        self._watches = KeyedState(budget)
        self._watches.partial = partial
        self._start = start
        self._config = settings.version()
        self.configs: list[tuple[int, str]] = []
        """from which position which configuration holds; see Meta"""
        self._disk = StateOnDisk(settings, self._topics.targets_state, tp.partition, AUDIT_KINDS)
        self._failed: Failed = {} if failed is None else failed
        self._failures = FailureLog(tp.partition, clock)
        self._cut_at = 0
        self.audit = PartitionAudit(audit_settings(settings, tp.partition), self._watches, self._failed)
        self.audit.unjudged = Positions(unjudged)

    async def restore(self) -> int:
        """See Work. Keyed state from disk and changelog, what was open at the checkpoint from the log itself."""
        saved = await self._disk.restore(self._state)
        self._watches.use_store(self._disk.store)
        restored = load(self.audit, saved)
        for letter in self._disk.damaged:
            self._set_aside(letter)
        if restored is None:
            self.configs = [(self._start, self._config)]
            return self._start
        self._follow_config(self._disk.configs, restored.position)
        self._watches.restored(self._disk.totals)
        count = 0
        async for record in self._state.records(
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
        """What is above ``position`` is audited as configured now: the log and this list tell every flag again."""
        self.configs = list(configs)
        if not configs or configs[-1][1] != self._config:
            self.configs.append((position, self._config))
            self.configs[1:] = self.configs[1:][-CONFIGS_KEPT:]
            log.info("another configuration from here on", partition=self._partition, at=position, config=self._config)

    def _set_aside(self, letter: DeadLetter) -> None:
        """A key whose state cannot be read goes on from nothing, and says so with every count."""
        metrics.DAMAGED_STATE.inc()
        metrics.DEAD_LETTERS.labels(str(letter.reason)).inc()
        self._outputs.append(letter_output(self._topics.dead_letters, self._partition, letter, []))
        key = letter.key or b""
        if key.startswith(TARGET_STATES.prefix):
            self.audit.restart_key(Key(key[len(TARGET_STATES.prefix) :].decode()))

    def take(self, batch: Batch, records: list[Any]) -> Iterator[None]:
        """See Work: a window may end for all targets of the partition with one record."""
        outcome = Outcome()
        audit = self.audit
        skipped, broken, counted = audit.skipped, audit.broken, audit.counted_only
        for record in records:
            try:
                for _ in audit.steps(record.value, record.offset, outcome):
                    if len(outcome.counts) >= COUNTS_KEPT:
                        self._keep(outcome.drain(), record.offset)
                    yield
            except StepError as error:
                self._log_step(record.offset, error)
                raise
            if outcome.failures or outcome.uncounted:
                self._keep(outcome.drain(), record.offset)
            yield
        metrics.REDELIVERED.inc(audit.skipped - skipped)
        metrics.BROKEN_FRAMES.inc(audit.broken - broken)
        metrics.UNJUDGED_STEPS.inc(audit.counted_only - counted)
        self._keep(outcome, records[-1].offset)

    def _log_step(self, position: int, error: StepError) -> None:
        metrics.FAILED_STEPS.inc()
        log.error(
            "a record of the log could not be audited; the task starts again and only counts its events",
            partition=self._partition,
            position=position,
            failures=sum(self._failed.get(position, Tries())),
            exc_info=error.__cause__,
        )

    def heartbeat(self, now_ms: int, at_end: bool) -> None:
        """See Work: time comes from the log alone, so there is nothing to do but to show what is."""
        self._watches.settle()
        if self.audit.now_ms >= 0:
            partition = str(self._partition)
            metrics.EVENT_TIME.labels(partition).set(self.audit.now_ms / 1000)
            metrics.VIEWS_AT_ONCE.labels(partition).set(float(self.audit.emits_views_at_start()))

    def pending(self) -> int:
        """See Work: more than allowed if so many keys have changed that memory waits for a checkpoint."""
        return PENDING_MAX + 1 if self._watches.crowded() else len(self._outputs)

    def urgent(self) -> bool:
        """See Work: a flag is worth nothing before it can be read."""
        return self._flagged

    def cut(self, position: int) -> Iterable[Output]:
        """See Work."""
        outputs, self._outputs, self._flagged = self._outputs, [], False
        self._cut_at = position
        watches = self._watches
        records = dump_changes(
            self.audit, position, born=self._disk.born, totals=watches.totals(), configs=self.configs
        )
        watches.weigh(sum(len(value) for key, value in records if key.startswith(TARGET_STATES.prefix)), len(records))
        self._cut = list(records)
        headers = None if self._atomic else [(POSITION_HEADER, b"%d" % position)]
        return _Cut(outputs, watches, self._cut, (self._topics.targets_state, self._partition), headers)

    def stored(self, delivered: Delivered) -> Iterator[None]:
        """See Work: what Kafka has, the disk may have."""
        records, self._cut = self._cut, []
        yield from self._watches.store_spilled()  # older than the records, and before the offset that stands for both
        self._disk.write(records, delivered[self._topics.targets_state, self._partition])
        self._watches.stored()
        for position in [position for position in self._failed if position < self._cut_at]:
            del self._failed[position]  # the state knows it now

    def close(self) -> None:
        """See Work."""
        for gauge in (metrics.EVENT_TIME, metrics.VIEWS_AT_ONCE):
            metrics.remove(gauge, str(self._partition))
        self._watches.forget()
        self._disk.close()

    def _keep_failures(self, outcome: Outcome, position: int) -> None:
        """What detection left out while the record at a position was taken, and what of the log nobody could count."""
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

    def _put(
        self, topic: str, target: str, encode: Callable[[Any], bytes], record: Any, headers: Headers | None = None
    ) -> None:
        """Let a record go with the next checkpoint. One that cannot be encoded must not keep the others back."""
        try:
            self._outputs.append(Output(topic, self._partition, target.encode(), encode(record), headers))
        except UNCONTAINED:
            raise
        except Exception as error:
            metrics.UNJUDGED_WINDOWS.labels("output").inc()
            log.exception("an output cannot be encoded and is left out", topic=topic, target=target, error=repr(error))

    def _keep(self, outcome: Outcome, position: int) -> None:
        self._keep_failures(outcome, position)
        topics, partition, outputs = self._topics, self._partition, self._outputs
        self._flagged = self._flagged or bool(outcome.flags)
        for flag in outcome.flags:
            self._put(topics.flagged_events, flag.target, flag_value, flag, cloud_headers(flag, self._source))
            metrics.FLAGS.labels(flag.metric, flag.verdict, flag.status).inc()
            if flag.status == "opened" and flag.verdict != EXPLAINED:
                metrics.FLAG_REASONS.labels(flag.metric, _leading(flag)).inc()
        for correction in outcome.corrections:
            self._put(topics.corrections, correction.target, correction_value, correction)
            metrics.CORRECTED.labels(correction.metric, correction.to).inc(correction.count)
        for count in outcome.counts:
            outputs.append(Output(topics.audited_counts, partition, count_key(count), count_value(count)))
        self._watches.beside_bytes = self.audit.memory_bytes() + OUTPUT_BYTES * len(outputs)
        for hit in outcome.hits:
            metrics.REJECTED.labels(metric_name_of(hit.key), hit.reason).inc(hit.events)
        metrics.LATE.inc(outcome.late)
        metrics.HISTORIC.inc(outcome.historic)
        metrics.DUPLICATES.inc(outcome.duplicates)
        metrics.UNMATCHED_UNDOS.inc(outcome.unmatched_undos)
        metrics.WINDOWS.inc(outcome.windows)
        for name, windows in zip(METRICS, outcome.withheld, strict=True):
            metrics.WITHHELD.labels(name).inc(windows)
        metrics.PUT_OFF.inc(outcome.put_off)
        for verdict, windows in outcome.judged.items():
            metrics.JUDGED.labels(verdict).inc(windows)
        for (detector, verdict), windows in outcome.witnesses.items():
            metrics.WITNESSES.labels(detector, verdict).inc(windows)
        for name, events in zip(METRICS, outcome.entered, strict=True):
            if events:
                metrics.EVENTS.labels(name).inc(events)


class _Cut:
    """All outputs of a checkpoint, to be read once or twice: what was spilled stays on the disk meanwhile."""

    def __init__(
        self,
        outputs: list[Output],
        watches: KeyedState,
        records: list[tuple[bytes, bytes | None]],
        place: tuple[str, int],
        headers: Headers | None,
    ) -> None:
        self._outputs = outputs
        self._watches = watches
        self._records = records
        self._place = place
        self._headers = headers

    def __iter__(self) -> Iterator[Output]:
        yield from self._outputs
        for key, value in chain(self._watches.spilled(), self._records):
            yield Output(*self._place, key, value, self._headers)


def _leading(flag: Flag) -> str:
    """The first reason that says what is wrong with the crowd; the surge alone says only that there is one."""
    codes = [reason.code for reason in flag.reasons]
    return codes[1] if len(codes) > 1 else (codes[0] if codes else "none")
