"""The actors role: turns the log of one ``by-actor`` partition into rulings and control records."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import structlog
from faust.types import TP

from detectors.accounts.outcome import AccountsOutcome
from streams import metrics
from streams.actors.changelog import FULL_AT, dump_full, index_keys, load, meta_record, page_of, state_at
from streams.actors.large_records import LargeRecords
from streams.actors.observations import ActorGauges, count_outcome
from streams.actors.outputs import ruling_key, ruling_value
from streams.actors.pages import StoredPages
from streams.actors.step import PartitionAccounts, account_settings
from streams.clock import Clock
from streams.engine.checkpoint_outputs import CheckpointOutputs
from streams.engine.dead_letters import letter_output
from streams.engine.failed_records import Failed
from streams.engine.failure_log import FailureLog
from streams.engine.outlet import Delivered, Output
from streams.engine.step_error import StepError
from streams.engine.task import PENDING_MAX
from streams.kafka.partition_reader import StateReader
from streams.kafka.topics import Topics
from streams.kafka.transport import Batch
from streams.settings.settings import Settings
from streams.state.disk import StateOnDisk
from streams.state.uncommitted import POSITION_HEADER

log = structlog.get_logger()

CHANGED_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of new pages from which such a checkpoint is taken early: it is one transaction, and in memory."""

FRAMES_PER_TURN = 50
"""Frames applied by a restore before other tasks get a turn."""


class Actors:
    """The work of one ``by-actor`` partition. See Work."""

    role = "actors"

    def __init__(
        self,
        settings: Settings,
        tp: TP,
        *,
        target_partitions: int,
        state: StateReader,
        clock: Clock,
        failed: Failed | None = None,
    ) -> None:
        """``target_partitions`` are those of by-target. ``failed`` has the failures since the last full checkpoint."""
        self.every_seconds = settings.checkpoint_seconds
        self._full_seconds = settings.actors.state_seconds
        self._topics = Topics.of(settings)
        self._partition, self._partitions = tp.partition, settings.partitions
        self._atomic = settings.processing == "exactly_once"
        self._reader = state
        self._clock = clock
        self._failed: Failed = {} if failed is None else failed
        self._pages = StoredPages()
        self._large = LargeRecords()
        self.accounts = PartitionAccounts(
            account_settings(settings),
            partition=tp.partition,
            target_partitions=target_partitions,
            pages=self._pages,
            failed=self._failed,
        )
        kinds = [part.kind for part in self.accounts.accounts.parts]
        self._disk = StateOnDisk(settings, self._topics.actors_state, tp.partition, kinds, read_once=True)
        self._config = settings.version()
        self._configs: list[tuple[int, str]]
        """see Meta; set by ``restore``"""
        self._state: dict[str, Any]
        """of the last full checkpoint; set by ``restore``"""
        self._full_at: float
        """monotonic seconds of the last full checkpoint; set by ``restore`` so that partitions take turns"""
        self._outputs: list[Output] = []
        self._cut: list[tuple[bytes, bytes | None]] = []
        self._gauges = ActorGauges(tp.partition)
        self._failures = FailureLog(tp.partition, clock)

    async def restore(self) -> int:
        """See Work. The state is that of the last full checkpoint; the log after it is applied again."""
        saved = await self._disk.restore(self._reader)
        self._pages.use_store(self._disk.store)
        self._large.use_store(self._disk.store)
        self._full_at = self._clock.monotonic() - self._full_seconds * self._partition / self._partitions
        self._drop_damaged(saved)
        restored = load(self.accounts, saved)
        if restored is None:
            self._state = state_at(self.accounts, 0)
            self._configs = [(0, self._config)]
            return 0
        self._state = restored.state
        self._configs = self._disk.configs
        if not self._configs or self._configs[-1][1] != self._config:
            self._configs = [*self._configs[-1:], (restored.position, self._config)]
        await self._replay(restored.replay_from, restored.position)
        return restored.position

    def _drop_damaged(self, saved: dict[bytes, bytes]) -> None:
        """Report damaged records, and drop the pages of damaged pieces, also for the restarts to come."""
        lost: set[int] = set()
        for letter in self._disk.damaged:
            metrics.DAMAGED_STATE.inc()
            metrics.DEAD_LETTERS.labels(str(letter.reason)).inc()
            self._outputs.append(letter_output(self._topics.dead_letters, self._partition, letter, []))
            page = page_of(letter.key or b"")
            if page is not None:
                lost.add(page)
        keys = [key for page in sorted(lost) for key in index_keys(page)]
        for key in keys:
            saved.pop(key, None)
        self._disk.delete(keys)
        self.accounts.accounts.lose_pages(lost)

    async def _replay(self, start: int, end: int) -> None:
        if start >= end:
            return
        count = 0
        async for record in self._reader.records(self._topics.by_actor, self._partition, start=start, end=end):
            outcome = self._apply(record)
            self.accounts.controls_of(outcome, record.offset)
            count += 1
            if count % FRAMES_PER_TURN == 0:
                await asyncio.sleep(0)

    def _apply(self, record: Any) -> AccountsOutcome:
        try:
            return self.accounts.apply(record.value, record.offset)
        except StepError as error:
            metrics.FAILED_STEPS.inc()
            log.error(
                "a record of the log of actors failed; the task starts again and skips it",
                partition=self._partition,
                position=record.offset,
                exc_info=error.__cause__,
            )
            raise

    def take(self, batch: Batch, records: list[Any]) -> Iterator[None]:
        """See Work."""
        accounts = self.accounts
        redelivered, broken, skipped = accounts.redelivered, accounts.broken, accounts.skipped.total()
        for record in records:
            outcome = self._apply(record)
            self._add_outputs(outcome, record.offset)
            yield
        metrics.REDELIVERED.inc(accounts.redelivered - redelivered)
        metrics.BROKEN_FRAMES.inc(accounts.broken - broken)
        metrics.UNJUDGED_STEPS.inc(accounts.skipped.total() - skipped)

    def _add_outputs(self, outcome: AccountsOutcome, position: int) -> None:
        topics = self._topics
        frames = self.accounts.controls_of(outcome, position)
        self._outputs += [Output(topics.by_target, place, None, value) for place, value in frames]
        self._outputs += [
            Output(topics.actors, self._partition, ruling_key(ruling), ruling_value(ruling))
            for ruling in outcome.rulings
        ]
        self._outputs += [Output(topics.actors, self._partition, name.encode(), None) for name in outcome.forgotten]
        self._report(outcome, position)

    def _report(self, outcome: AccountsOutcome, position: int) -> None:
        count_outcome(outcome)
        for failure in outcome.unjudged:
            self._failures.contained(failure, position)

    def heartbeat(self, now_ms: int, at_end: bool) -> None:
        """See Work. Event time comes from the log alone, so this only updates gauges."""
        self._gauges.show(self.accounts)

    def pending(self) -> int:
        """See Work. It is more than allowed if there are so many new pages that a checkpoint is due."""
        return PENDING_MAX + 1 if self._pages.temporary_bytes > CHANGED_BYTES_MAX else len(self._outputs)

    def urgent(self) -> bool:
        """See Work. What is concluded of accounts waits for a point of event time anyway."""
        return False

    def cut(self, position: int) -> Iterable[Output]:
        """See Work."""
        outputs, self._outputs = self._outputs, []
        records: list[tuple[bytes, bytes | None]] = []
        if self._full_due():
            self._report(self.accounts.complete(), position)
            full, self._state = dump_full(self.accounts, position)
            self._large.cut((key, value) for key, value in full if value is not None)
            records = [(key, None) for key, value in full if value is None]
            self._pages.cut()
            self._full_at = self._clock.monotonic()
        records.append(meta_record(self.accounts, position, self._state, born=self._disk.born, configs=self._configs))
        self._cut = records
        headers = None if self._atomic else [(POSITION_HEADER, b"%d" % position)]
        place = self._topics.actors_state, self._partition
        return CheckpointOutputs(outputs, self._on_disk, records, place=place, headers=headers)

    def _on_disk(self) -> Iterable[tuple[bytes, bytes]]:
        return chain(self._pages.records(), self._large.records())

    def _full_due(self) -> bool:
        since = self._clock.monotonic() - self._full_at
        return since >= self._full_seconds or self._pages.temporary_bytes > CHANGED_BYTES_MAX

    def stored(self, delivered: Delivered) -> Iterator[None]:
        """See Work. It writes to the disk what Kafka has committed."""
        records, self._cut = self._cut, []
        yield from self._pages.stored()  # before the records, which have the indexes of the pages
        yield from self._large.stored()
        self._disk.write(records, delivered[self._topics.actors_state, self._partition])
        yield
        full_at = int(self._state[FULL_AT])
        for position in [position for position in self._failed if position < full_at]:
            del self._failed[position]  # now it is part of the stored state

    def close(self) -> None:
        """See Work."""
        self._gauges.forget()
        self._disk.close()
