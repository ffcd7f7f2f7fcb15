"""The engine: runs all tasks of a worker. A task is one role on one partition, with its state, position and outlet.

Faust does only membership and delivery: its acknowledgements, commits and tables are not used. It passes each batch to
``Engine.handle``. The first batch or heartbeat of a partition opens its task. A task skips records that it has already
taken, reads the records of a gap again, and commits checkpoints at its own intervals. If a checkpoint fails, the engine
drops the task and its state; if the partition is still assigned, the next batch opens it again from its last
checkpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import structlog
from faust.types import TP

from streams import metrics
from streams.clock import Clock
from streams.engine.activity import Activity
from streams.engine.assignment import Assignment, Membership
from streams.engine.checkpoints import Checkpoints, ended
from streams.engine.failures_in_a_row import FailuresInARow
from streams.engine.gaps import may_take
from streams.engine.outlet import Outlet
from streams.engine.step_error import StepError
from streams.engine.task import PENDING_MAX, Task, Work, turns
from streams.kafka.transport import Batch

log = structlog.get_logger()

REOPEN_PAUSE_SECONDS = 1.0
"""Pause after a task raised or could not be opened: a broker that fails is not asked all the time."""

RESTORES_AT_ONCE = 8
"""Restores of a worker that read at the same time. Each has some megabytes of fetched records in memory."""

GIVE_UP_SECONDS = 10.0
"""Longest wait for the last checkpoint of a task whose partition is revoked, and again for its outlet to stop."""

SEEK_AFTER_SECONDS = 10.0
"""If there is lag and nothing was delivered for so long, seek again: a rebalance can lose a batch."""


@dataclass(slots=True, kw_only=True)
class Engine:
    """All tasks of a worker."""

    membership: Callable[[], Membership]
    make: Callable[[TP], tuple[Work, Outlet]]
    clock: Clock
    tasks: dict[TP, Task] = field(default_factory=dict)
    assigned: int = 0
    closing: bool = False
    activity: Activity = field(init=False)
    _assignment: Assignment = field(init=False)
    _failures: FailuresInARow = field(init=False)
    _checkpoints: Checkpoints = field(init=False)
    _locks: dict[TP, asyncio.Lock] = field(default_factory=dict)
    _not_before: dict[TP, float] = field(default_factory=dict)
    """monotonic seconds before which a partition is not opened again"""
    _checking: dict[TP, asyncio.Task[None]] = field(default_factory=dict)
    _restores: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(RESTORES_AT_ONCE))

    def __post_init__(self) -> None:
        self.activity = Activity(clock=self.clock)
        self._failures = FailuresInARow(clock=self.clock)
        self._assignment = Assignment(self.membership)
        self._checkpoints = Checkpoints(
            clock=self.clock, activity=self.activity, assignment=self._assignment, pause=self._pause
        )

    async def handle(self, batch: Batch) -> None:
        """Pass a batch to its task. Never raises: a task that fails is dropped, and its records are read again.

        It waits for a running checkpoint with many outputs: all tasks emit their counts at the same moments of event
        time, and the outputs of one task may be tens of megabytes.
        """
        await self._take_batch(batch)
        task = self.tasks.get(batch.tp)
        if task is not None and task.heavy and task.running is not None:
            await asyncio.wait({task.running})

    async def _take_batch(self, batch: Batch) -> None:
        async with self._lock(batch.tp):
            task = await self._task(batch.tp)
            if task is None:
                return
            if batch.start > task.position and not await may_take(
                task, batch.start, assignment=self._assignment, clock=self.clock
            ):
                return
            if batch.next <= task.position:
                return
            try:
                if await self._take(task, batch):
                    self._checkpoints.start_if_due(task, self.lag(task))
            except Exception as error:
                # Any exception here would end the agent, and with it all partitions of its role.
                if not isinstance(
                    error, StepError
                ):  # the work has logged that, and does less with the record next time
                    log.exception(
                        "a batch could not be taken; the task starts again", tp=str(batch.tp), start=batch.start
                    )
                task.failed = True
                self._pause(batch.tp)

    async def _take(self, task: Task, batch: Batch) -> bool:
        """Take the records of a batch that are not taken yet. Returns whether all were. Raises what the work raises."""
        records, position, role = batch.records, task.position, task.work.role
        if records[0].offset < position:
            records = [r for r in records if r.offset >= position]
        if task.work.pending() > PENDING_MAX and task.running is not None:
            await asyncio.wait({task.running})
            if task.failed:
                return False
        began = self.clock.monotonic()
        if not await self._steps(task, task.work.take(batch, records)):
            return False
        task.delivered_at = self.clock.monotonic()
        if task.oldest_ms is None and records[0].timestamp is not None:
            task.oldest_ms = records[0].timestamp
        metrics.BATCH_SECONDS.labels(role).observe(task.delivered_at - began)
        metrics.RECORDS.labels(role, batch.tp.topic).inc(len(records))
        task.position = batch.next
        task.dirty = True
        self.activity.took(batch.tp)
        return True

    async def _steps(self, task: Task, steps: Iterable[None]) -> bool:
        """Do the steps of a batch. Returns whether all were done; a task that did only a part of them has failed."""
        try:
            since = self.clock.monotonic()
            async with aclosing(turns(steps, clock=self.clock)) as taking:
                async for now in taking:
                    self.activity.stepped(task.tp, since=since, now=now)
                    since = now
                    if task.give_up_at is not None and now > task.give_up_at:
                        log.warning("a batch was interrupted; its records are read again", tp=str(task.tp))
                        task.failed = True
                    if task.failed:
                        return False
        except BaseException:
            task.failed = True
            raise
        return True

    def heartbeat(self) -> None:
        """Open assigned partitions, call the tasks' heartbeats, start due checkpoints, and drop tasks that failed.

        Never waits: each partition has a coroutine of its own, so that a long restore delays no other partition. Tasks
        must open concurrently: a restore may wait for a transaction that the opening of another task ends.
        """
        assigned = self._assignment.partitions()
        if assigned is None:  # the consumer starts again: these partitions may still be ours
            self.assigned = 0
            return
        self.assigned = len(assigned)
        self.activity.retain(assigned)
        self._failures.retain(assigned)
        for tp in sorted(assigned | self.tasks.keys(), key=str):
            if self.closing:
                return
            if tp in self._checking or self._lock(tp).locked():
                continue
            checking = asyncio.get_running_loop().create_task(self._check_partition(tp))
            self._checking[tp] = checking
            checking.add_done_callback(lambda done, tp=tp: self._checked(tp, done))  # type: ignore[misc]  # a default

    def _checked(self, tp: TP, done: asyncio.Task[None]) -> None:
        del self._checking[tp]
        if not done.cancelled() and done.exception() is not None:
            log.error("a heartbeat failed", tp=str(tp), exc_info=done.exception())

    async def _check_partition(self, tp: TP) -> None:
        async with self._lock(tp):
            if not self._assignment.has(tp):
                await self._drop(tp)
                return
            known = self.tasks.get(tp)
            task = await self._task(tp)
            if task is None:
                return
            self._failures.working(tp, task.work.role, task.committed)
            lag = self.lag(task)
            if lag is not None:
                metrics.LAG.labels(task.work.role, tp.topic, str(tp.partition)).set(lag)
            # Batches that were delivered before the task was open have been skipped.
            if task is not known or (lag and self.clock.monotonic() - task.delivered_at > SEEK_AFTER_SECONDS):
                task.delivered_at = self.clock.monotonic()
                await self._assignment.seek(tp, task.position)
            try:
                task.work.heartbeat(self.clock.epoch_ms(), lag == 0)
                task.dirty = task.dirty or task.work.pending() > 0
                self._checkpoints.start_if_due(task, lag)
            except Exception:
                log.exception("a heartbeat failed; the task starts again", tp=str(tp))
                task.failed = True
                self._pause(tp)

    def behind(self) -> bool:
        """Whether there is something to do: a partition to open, or records to take."""
        return self.assigned > len(self.tasks) or any(self.lag(task) for task in self.tasks.values())

    def lag(self, task: Task) -> int | None:
        """The number of records between a task's position and the end of its partition; None if not known."""
        return self._assignment.lag(task.tp, task.position)

    async def release(self, revoked: Iterable[TP]) -> None:
        """Checkpoint and close the tasks of partitions that are being revoked."""
        await asyncio.gather(*(self._release(tp) for tp in revoked if tp in self.tasks))

    async def reopen(self, topic: str) -> None:
        """Checkpoint and close the tasks of a topic; the next batch or heartbeat opens each again with new settings.

        It waits for a task that is being opened, so that no task goes on with the earlier settings.
        """
        await asyncio.gather(*(self._release(tp) for tp in list(self._locks) if tp.topic == topic))

    async def _release(self, tp: TP) -> None:
        taking = self.tasks.get(tp)
        if taking is not None:
            taking.give_up_at = self.clock.monotonic() + GIVE_UP_SECONDS
        async with self._lock(tp):
            task = self.tasks.get(tp)
            if task is None:
                return
            if task.running is not None:
                await ended(task.running, GIVE_UP_SECONDS)
            if task.running is None and not task.failed and task.dirty:
                await ended(self._checkpoints.start(task), GIVE_UP_SECONDS)
            await self._drop(tp)

    async def close(self) -> None:
        """Checkpoint and close all tasks, at the end of a worker."""
        self.closing = True
        for checking in list(self._checking.values()):
            checking.cancel()
        await self.release(list(self.tasks))

    def abandon(self) -> None:
        """Drop the tasks that ``close`` did not end in time, so that none goes on from its present state."""
        for task in self.tasks.values():
            task.failed = True
            if task.running is not None:
                task.running.cancel()
            task.work.close()
        self.tasks.clear()
        self.activity.retain(set())
        self.assigned = 0

    # ------------------------------------------------------------ inside

    def _lock(self, tp: TP) -> asyncio.Lock:
        lock = self._locks.get(tp)
        if lock is None:
            lock = self._locks[tp] = asyncio.Lock()
        return lock

    def _pause(self, tp: TP) -> None:
        self._not_before[tp] = self.clock.monotonic() + REOPEN_PAUSE_SECONDS

    async def _task(self, tp: TP) -> Task | None:
        task = self.tasks.get(tp)
        if task is not None and task.failed:
            await self._drop(tp)
            task = None
        if task is not None:
            return task
        early = self.clock.monotonic() < self._not_before.get(tp, 0.0)
        if self.closing or early or not self._assignment.has(tp):
            return None
        return await self._open(tp)

    async def _open(self, tp: TP) -> Task | None:
        work, outlet = self.make(tp)
        try:
            # Before the restore: it ends the transaction that the last owner of the partition left open.
            await outlet.start()
            async with self._restores:
                position = await work.restore()
        except asyncio.CancelledError:
            work.close()
            await _ignoring_errors(outlet.stop())
            raise
        except Exception as error:  # noqa: BLE001  # no broker, or unreadable state: neither may end the agent
            log.warning("a task could not be opened; it will be tried again", tp=str(tp), error=repr(error))
            self._failures.failed(tp, work.role)
            self._pause(tp)
            work.close()
            await _ignoring_errors(outlet.stop())
            return None
        if not self._assignment.has(tp):
            work.close()
            await _ignoring_errors(outlet.stop())
            return None
        now = self.clock.monotonic()
        task = Task(
            tp=tp,
            work=work,
            outlet=outlet,
            position=position,
            committed=position,
            cut_at=now,
            cut_position=position,
            delivered_at=now,
        )
        self.tasks[tp] = task
        metrics.TASKS.labels(work.role).inc()
        log.info("task opened", tp=str(tp), role=work.role, position=position)
        return task

    async def _drop(self, tp: TP) -> None:
        task = self.tasks.pop(tp, None)
        if task is None:
            return
        if task.failed:
            self._failures.failed(tp, task.work.role, task.committed)
        task.failed = True
        if task.running is not None and not await ended(task.running, GIVE_UP_SECONDS):
            task.running.cancel()
        await _ignoring_errors(task.outlet.stop())
        task.work.close()
        metrics.TASKS.labels(task.work.role).dec()
        metrics.forget(task.work.role, tp.topic, tp.partition)
        log.info("task closed", tp=str(tp), role=task.work.role, position=task.position)


async def _ignoring_errors(awaitable: Awaitable[Any]) -> None:
    try:
        await asyncio.wait_for(awaitable, GIVE_UP_SECONDS)
    except Exception as error:  # noqa: BLE001  # it has failed already, so nothing is lost
        log.debug("while closing", error=repr(error))
