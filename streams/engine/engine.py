"""The engine: all tasks of a worker. A task is one role on one partition, with its state, position and outlet.

Faust does membership and delivery, no more: its acknowledgements, commits and tables are not used. A batch reaches
``Engine.handle``. A task is opened on its first batch or heartbeat. It skips what it has already taken, asks for a
gap to be delivered again, and commits checkpoints at intervals of its own. If a checkpoint fails, the task and its
state are thrown away; if the partition is still assigned, the next batch opens it again from its last checkpoint.
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
from streams.engine.gaps import gone
from streams.engine.outlet import Outlet
from streams.engine.task import PENDING_MAX, StepError, Task, Work, turns
from streams.kafka.transport import Batch

log = structlog.get_logger()

REOPEN_PAUSE_SECONDS = 1.0
"""After a task could not be opened, or raised, so that a broken broker is not hammered."""

RESTORES_AT_ONCE = 8
"""Restores of a worker that read at the same time: each has some megabytes of fetched records in memory."""

GIVE_UP_SECONDS = 10.0
"""For a task's last checkpoint when its partition is taken away, and again for its outlet to end."""

NUDGE_SECONDS = 10.0
"""With records left and none delivered for so long, they are asked for again: a batch can get lost in a rebalance."""


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
    _checkpoints: Checkpoints = field(init=False)
    _locks: dict[TP, asyncio.Lock] = field(default_factory=dict)
    _not_before: dict[TP, float] = field(default_factory=dict)
    """monotonic seconds before which a partition is not opened again"""
    _tending: dict[TP, asyncio.Task[None]] = field(default_factory=dict)
    _restores: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(RESTORES_AT_ONCE))

    def __post_init__(self) -> None:
        self.activity = Activity(clock=self.clock)
        self._assignment = Assignment(self.membership)
        self._checkpoints = Checkpoints(
            clock=self.clock, activity=self.activity, assignment=self._assignment, pause=self._pause
        )

    async def handle(self, batch: Batch) -> None:
        """Give a batch to its task. Never raises: a task that fails is thrown away, and its records come again.

        A checkpoint with many outputs is waited for before anything else is taken: all tasks emit their counts at the
        same moments of event time, and the outputs of one of them may be tens of megabytes.
        """
        await self._give(batch)
        task = self.tasks.get(batch.tp)
        if task is not None and task.heavy and task.running is not None:
            await asyncio.wait({task.running})

    async def _give(self, batch: Batch) -> None:
        async with self._lock(batch.tp):
            task = await self._task(batch.tp)
            if task is None:
                return
            if batch.start > task.position and not await gone(
                task, batch.start, assignment=self._assignment, clock=self.clock
            ):
                return
            if batch.next <= task.position:
                return
            try:
                if await self._take(task, batch):
                    self._checkpoints.start_if_due(task)
            except Exception as error:
                # Whatever it is, it must not end the agent, which takes all partitions of its role with it.
                if not isinstance(error, StepError):  # the work has logged it, and does less with that record next time
                    log.exception(
                        "a batch could not be taken; the task starts again", tp=str(batch.tp), start=batch.start
                    )
                task.failed = True
                self._pause(batch.tp)

    async def _take(self, task: Task, batch: Batch) -> bool:
        """Take the records of a batch that are not taken yet; whether all were. Raises what the work does."""
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
        task.heard_at = self.clock.monotonic()
        metrics.BATCH_SECONDS.labels(role).observe(task.heard_at - began)
        metrics.RECORDS.labels(role, batch.tp.topic).inc(len(records))
        task.position = batch.next
        task.dirty = True
        self.activity.took(batch.tp)
        return True

    async def _steps(self, task: Task, steps: Iterable[None]) -> bool:
        """Do the steps of a batch; whether all were done. A task that has taken half a batch has failed."""
        try:
            since = self.clock.monotonic()
            async with aclosing(turns(steps, clock=self.clock)) as taking:
                async for now in taking:
                    self.activity.stepped(task.tp, since=since, now=now)
                    since = now
                    if task.give_up_at is not None and now > task.give_up_at:
                        log.warning("what was being taken is given up, and done again", tp=str(task.tp))
                        task.failed = True
                    if task.failed:
                        return False
        except BaseException:
            task.failed = True
            raise
        return True

    def heartbeat(self) -> None:
        """Open assigned partitions, let tasks know that time passes, start due checkpoints, drop what failed.

        Never waits: each partition is tended in a coroutine of its own, so that a long restore delays no other, and
        tasks open side by side (a restore may wait for a transaction that the opening of another task ends).
        """
        assigned = self._assignment.partitions()
        if assigned is None:  # a consumer that starts again: its tasks may still be ours
            self.assigned = 0
            return
        self.assigned = len(assigned)
        self.activity.keep(assigned)
        for tp in sorted(assigned | self.tasks.keys(), key=str):
            if self.closing:
                return
            if tp in self._tending or self._lock(tp).locked():
                continue
            tending = asyncio.get_running_loop().create_task(self._tend(tp))
            self._tending[tp] = tending
            tending.add_done_callback(lambda done, tp=tp: self._tended(tp, done))  # type: ignore[misc]  # a default

    def _tended(self, tp: TP, done: asyncio.Task[None]) -> None:
        del self._tending[tp]
        if not done.cancelled() and done.exception() is not None:
            log.error("a heartbeat failed", tp=str(tp), exc_info=done.exception())

    async def _tend(self, tp: TP) -> None:
        async with self._lock(tp):
            if not self._assignment.has(tp):
                await self._drop(tp)
                return
            known = self.tasks.get(tp)
            task = await self._task(tp)
            if task is None:
                return
            lag = self.lag(task)
            if lag is not None:
                metrics.LAG.labels(task.work.role, tp.topic, str(tp.partition)).set(lag)
            # Batches may have been delivered before it was opened, and were skipped.
            if task is not known or (lag and self.clock.monotonic() - task.heard_at > NUDGE_SECONDS):
                task.heard_at = self.clock.monotonic()
                await self._assignment.seek(tp, task.position)
            try:
                task.work.heartbeat(self.clock.epoch_ms(), lag == 0)
                task.dirty = task.dirty or task.work.pending() > 0
                self._checkpoints.start_if_due(task)
            except Exception:
                log.exception("a heartbeat failed; the task starts again", tp=str(tp))
                task.failed = True
                self._pause(tp)

    def behind(self) -> bool:
        """Whether there is something to do: a partition to open, or records to take."""
        return self.assigned > len(self.tasks) or any(self.lag(task) for task in self.tasks.values())

    def lag(self, task: Task) -> int | None:
        """Records between a task's position and the end of its partition, None if not known."""
        return self._assignment.lag(task.tp, task.position)

    async def release(self, revoked: Iterable[TP]) -> None:
        """Checkpoint and close tasks whose partitions are being taken away."""
        await asyncio.gather(*(self._release(tp) for tp in revoked if tp in self.tasks))

    async def reopen(self, topic: str) -> None:
        """Checkpoint and close the tasks of a topic; the next batch or heartbeat makes and opens each again.

        A task that is just being opened is waited for, so that none keeps its earlier settings.
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
        """Checkpoint and close everything: the end of a worker."""
        self.closing = True
        for tending in list(self._tending.values()):
            tending.cancel()
        await self.release(list(self.tasks))

    def abandon(self) -> None:
        """Throw away what ``close`` did not end in time, so that none of it goes on from its present state."""
        for task in self.tasks.values():
            task.failed = True
            if task.running is not None:
                task.running.cancel()
            task.work.close()
        self.tasks.clear()
        self.activity.keep(set())
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
            # Before the queue of restores: it ends the transaction that the partition's last owner has left open.
            await outlet.start()
            async with self._restores:
                position = await work.restore()
        except asyncio.CancelledError:
            work.close()
            await _quietly(outlet.stop())
            raise
        except Exception as error:  # noqa: BLE001  # no broker, or unreadable state: neither ends the agent
            log.warning("a task could not be opened; it will be tried again", tp=str(tp), error=repr(error))
            self._pause(tp)
            work.close()
            await _quietly(outlet.stop())
            return None
        if not self._assignment.has(tp):
            work.close()
            await _quietly(outlet.stop())
            return None
        now = self.clock.monotonic()
        task = Task(tp=tp, work=work, outlet=outlet, position=position, committed=position, cut_at=now, heard_at=now)
        self.tasks[tp] = task
        metrics.TASKS.labels(work.role).inc()
        log.info("task opened", tp=str(tp), role=work.role, position=position)
        return task

    async def _drop(self, tp: TP) -> None:
        task = self.tasks.pop(tp, None)
        if task is None:
            return
        task.failed = True
        if task.running is not None and not await ended(task.running, GIVE_UP_SECONDS):
            task.running.cancel()
        await _quietly(task.outlet.stop())
        task.work.close()
        metrics.TASKS.labels(task.work.role).dec()
        metrics.forget(task.work.role, tp.topic, tp.partition)
        log.info("task closed", tp=str(tp), role=task.work.role, position=task.position)


async def _quietly(awaitable: Awaitable[Any]) -> None:
    try:
        await asyncio.wait_for(awaitable, GIVE_UP_SECONDS)
    except Exception as error:  # noqa: BLE001  # closing what is broken already: nothing is lost by it
        log.debug("while closing", error=repr(error))
