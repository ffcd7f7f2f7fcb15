"""Tasks: one role on one partition, owning its state, its position and its outlet.

Faust does membership and delivery, no more: its acknowledgements, commits and tables are not used. A batch reaches
``Engine.handle``; a task is opened on its first batch or heartbeat, skips what it has already taken, asks for
a gap to be delivered again, and checkpoints on its own clock. A checkpoint that fails throws the task away, state
and all; if the partition is still ours the next batch opens it anew from its last checkpoint.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka.structs import TopicPartition
from faust.types import TP

from streams import metrics
from streams.engine.gaps import gone
from streams.engine.outlet import Delivered, Outlet, OutletError, Output
from streams.engine.task import PENDING_MAX, URGENT_SECONDS, Membership, StepError, Task, Work, turns
from streams.kafka.transport import Batch

log = structlog.get_logger()

REOPEN_PAUSE_SECONDS = 1.0
"""After a failed opening, so that a broken broker is not hammered."""

RESTORES_AT_ONCE = 8
"""Restores of a worker that read at the same time: each holds some megabytes of what it has fetched."""

GIVE_UP_SECONDS = 10.0
"""For a task's last checkpoint when its partition is taken away, and again for its outlet to end."""

NUDGE_SECONDS = 10.0
"""With records left and none delivered for so long, they are asked for again: a batch can get lost in a rebalance."""


@dataclass(slots=True)
class Engine:
    """All tasks of a worker."""

    membership: Callable[[], Membership]
    make: Callable[[TP], tuple[Work, Outlet]]
    tasks: dict[TP, Task] = field(default_factory=dict)
    last_taken: float = field(default_factory=time.monotonic)
    """when a task last took records or committed"""
    unsaved: dict[TP, float] = field(default_factory=dict)
    """since when records of a partition have been taken without a checkpoint that stands"""
    assigned: int = 0
    closing: bool = False
    _locks: dict[TP, asyncio.Lock] = field(default_factory=dict)
    _not_before: dict[TP, float] = field(default_factory=dict)
    _tending: dict[TP, asyncio.Task[None]] = field(default_factory=dict)
    _restores: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(RESTORES_AT_ONCE))

    async def handle(self, batch: Batch) -> None:
        """Give a batch to its task. Never raises: what fails is thrown away and comes again.

        A checkpoint that takes much with it is waited for before anything else is taken: all tasks tell their counts
        at the same moments of event time, and what one of them has to say then may be tens of megabytes.
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
            if batch.start > task.position and not await gone(task, batch.start, self.membership, self._seek):
                return
            position = task.position
            if batch.next <= position:
                return
            records = batch.records
            if records[0].offset < position:
                records = [r for r in records if r.offset >= position]
            if task.work.pending() > PENDING_MAX and task.running is not None:
                await asyncio.wait({task.running})
                if task.failed:
                    return
            began = time.perf_counter()
            try:
                if not await self._taken(task, task.work.take(batch, records)):
                    return
            except Exception as error:
                # Whatever it is, it must not end the agent, which takes all partitions of its role with it.
                if not isinstance(error, StepError):  # the task has logged it, and does less with that record next time
                    log.exception(
                        "a batch could not be taken; the task starts again", tp=str(batch.tp), start=batch.start
                    )
                task.failed = True
                self._not_before[batch.tp] = time.monotonic() + REOPEN_PAUSE_SECONDS
                return
            task.heard_at = time.monotonic()
            metrics.BATCH_SECONDS.labels(task.work.role).observe(time.perf_counter() - began)
            metrics.RECORDS.labels(task.work.role, batch.tp.topic).inc(len(records))
            task.position = batch.next
            task.dirty = True
            self.last_taken = time.monotonic()
            self.unsaved.setdefault(batch.tp, self.last_taken)
            self._maybe_checkpoint(task)

    async def _taken(self, task: Task, steps: Iterable[None]) -> bool:
        """Take records step by step; whether all were. A task that has taken half of them is of no use any more."""
        try:
            since = time.monotonic()
            async with aclosing(turns(steps)) as taking:
                async for now in taking:
                    self.last_taken = now
                    if task.tp in self.unsaved:  # no checkpoint can be taken now, so this is no time without one
                        self.unsaved[task.tp] += now - since
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
        """Open what is assigned, let idle tasks tell the time, start due checkpoints, drop what failed.

        Never waits: each partition is tended by itself, so that a long restore holds up no other, and tasks open side
        by side (what one restores may wait for a transaction that the opening of another ends).
        """
        try:
            assigned = set(self.membership().assignment())
        except Exception as error:  # noqa: BLE001  # Faust raises bare errors while it (re)starts its consumer
            log.debug("no assignment yet", error=repr(error))
            self.assigned = 0
            return
        self.assigned = len(assigned)
        for tp in self.unsaved.keys() - assigned:
            del self.unsaved[tp]
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
            if not self._ours(tp):
                await self._drop(tp)
                return
            known = self.tasks.get(tp)
            task = await self._task(tp)
            if task is None:
                return
            lag = self.lag(task)
            if lag is not None:
                metrics.LAG.labels(task.work.role, tp.topic, str(tp.partition)).set(lag)
            # Batches may have passed by before it was opened.
            if task is not known or (lag and time.monotonic() - task.heard_at > NUDGE_SECONDS):
                await self._seek_to_position(task)
            task.work.heartbeat(time.time(), lag == 0)
            task.dirty = task.dirty or task.work.pending() > 0
            self._maybe_checkpoint(task)

    def behind(self) -> bool:
        """Whether there is something to do: a partition to open, or records to take."""
        return self.assigned > len(self.tasks) or any(self.lag(task) for task in self.tasks.values())

    def lag(self, task: Task) -> int | None:
        """Records between a task's position and the end of its partition, None if not known."""
        try:
            return self.membership().remaining(task.tp, task.position)
        except Exception:  # noqa: BLE001  # not assigned any more, or not started: unknown either way
            return None

    async def release(self, revoked: Iterable[TP]) -> None:
        """Checkpoint and close tasks whose partitions are being taken away."""
        await asyncio.gather(*(self._release(tp) for tp in revoked if tp in self.tasks))

    async def reopen(self, topic: str) -> None:
        """Checkpoint and close the tasks of a topic; each opens again, made anew, with its next batch or heartbeat.

        One that is just being opened is waited for, so that none goes on as it was made before.
        """
        await asyncio.gather(*(self._release(tp) for tp in list(self._locks) if tp.topic == topic))

    async def _release(self, tp: TP) -> None:
        taking = self.tasks.get(tp)
        if taking is not None:
            taking.give_up_at = time.monotonic() + GIVE_UP_SECONDS
        async with self._lock(tp):
            task = self.tasks.get(tp)
            if task is None:
                return
            if task.running is not None:
                await _ended(task.running, GIVE_UP_SECONDS)
            if task.running is None and not task.failed and task.dirty:
                await _ended(self._start_checkpoint(task), GIVE_UP_SECONDS)
            await self._drop(tp)

    async def close(self) -> None:
        """Checkpoint and close everything: the end of a worker."""
        self.closing = True
        for tending in list(self._tending.values()):
            tending.cancel()
        await self.release(list(self.tasks))

    def abandon(self) -> None:
        """Throw away what ``close`` did not end in time: none of it may go on from where it stands."""
        for task in self.tasks.values():
            task.failed = True
            if task.running is not None:
                task.running.cancel()
            task.work.close()
        self.tasks.clear()
        self.unsaved.clear()
        self.assigned = 0

    # ------------------------------------------------------------ inside

    def _lock(self, tp: TP) -> asyncio.Lock:
        lock = self._locks.get(tp)
        if lock is None:
            lock = self._locks[tp] = asyncio.Lock()
        return lock

    async def _task(self, tp: TP) -> Task | None:
        task = self.tasks.get(tp)
        if task is not None and task.failed:
            await self._drop(tp)
            task = None
        if task is not None:
            return task
        if self.closing or time.monotonic() < self._not_before.get(tp, 0.0) or not self._ours(tp):
            return None
        return await self._open(tp)

    def _ours(self, tp: TP) -> bool:
        try:
            return tp in set(self.membership().assignment())
        except Exception:  # noqa: BLE001  # no consumer, no partitions
            return False

    async def _open(self, tp: TP) -> Task | None:
        work, outlet = self.make(tp)
        try:
            # At once, whoever else restores: it ends what the partition's last owner has left open.
            await outlet.start()
            async with self._restores:
                position = await work.restore()
        except asyncio.CancelledError:
            work.close()
            await _quietly(outlet.stop())
            raise
        except Exception as error:  # noqa: BLE001  # no broker, or unreadable state: neither ends the agent
            log.warning("a task could not be opened; it will be tried again", tp=str(tp), error=repr(error))
            self._not_before[tp] = time.monotonic() + REOPEN_PAUSE_SECONDS
            work.close()
            await _quietly(outlet.stop())
            return None
        if not self._ours(tp):
            work.close()
            await _quietly(outlet.stop())
            return None
        task = Task(tp, work, outlet, position=position, committed=position, cut_at=time.monotonic())
        self.tasks[tp] = task
        metrics.TASKS.labels(work.role).inc()
        log.info("task opened", tp=str(tp), role=work.role, position=position)
        return task

    async def _drop(self, tp: TP) -> None:
        task = self.tasks.pop(tp, None)
        if task is None:
            return
        task.failed = True
        if task.running is not None and not await _ended(task.running, GIVE_UP_SECONDS):
            task.running.cancel()
        await _quietly(task.outlet.stop())
        task.work.close()
        metrics.TASKS.labels(task.work.role).dec()
        metrics.forget(task.work.role, tp.topic, tp.partition)
        log.info("task closed", tp=str(tp), role=task.work.role, position=task.position)

    async def _seek_to_position(self, task: Task) -> None:
        task.heard_at = time.monotonic()
        await self._seek(task.tp, task.position)

    async def _seek(self, tp: TP, offset: int) -> None:
        try:
            await self.membership().seek(tp, offset)
        except Exception as error:  # noqa: BLE001  # taken away in between: its next owner will see to it
            log.warning("could not seek", tp=str(tp), offset=offset, error=repr(error))

    def _maybe_checkpoint(self, task: Task) -> None:
        if not task.dirty or task.running is not None:
            return
        work = task.work
        every_seconds = min(work.every_seconds, URGENT_SECONDS) if work.urgent() else work.every_seconds
        if time.monotonic() - task.cut_at >= every_seconds or work.pending() > PENDING_MAX:
            self._start_checkpoint(task)

    def _start_checkpoint(self, task: Task) -> asyncio.Task[None]:
        """Cut at once: the next records may be half taken when the rest gets its turn."""
        position = task.position
        task.heavy = task.work.pending() > PENDING_MAX
        task.dirty = False
        task.cut_at = time.monotonic()
        outputs: Iterable[Output] | Exception
        try:
            outputs = task.work.cut(position)
        except Exception as error:  # noqa: BLE001  # told, and dealt with, as whatever else a checkpoint may die of
            outputs = error
        task.running = asyncio.get_running_loop().create_task(self._checkpoint(task, position, outputs))
        return task.running

    async def _checkpoint(self, task: Task, position: int, outputs: Iterable[Output] | Exception) -> None:
        role = task.work.role
        try:
            if isinstance(outputs, Exception):
                raise outputs
            offsets = {TopicPartition(task.tp.topic, task.tp.partition): position}
            delivered = await task.outlet.commit(outputs, offsets)
        except asyncio.CancelledError:
            task.failed = True
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is: what was cut is gone, so the task must go too
            task.failed = True
            metrics.CHECKPOINTS.labels(role, "failed").inc()
            log.warning(
                "checkpoint failed; the task starts again from its last one",
                tp=str(task.tp),
                error=str(error) if isinstance(error, OutletError) else repr(error),
            )
            if self._ours(task.tp):
                await self._seek(task.tp, task.committed)
        else:
            task.committed = position
            self.last_taken = time.monotonic()
            if task.dirty:
                self.unsaved[task.tp] = task.cut_at
            else:
                self.unsaved.pop(task.tp, None)
            metrics.LAST_PROGRESS.set(time.time())
            metrics.CHECKPOINTS.labels(role, "committed").inc()
            metrics.CHECKPOINT_SECONDS.labels(role).observe(time.monotonic() - task.cut_at)
            await self._stored(task, delivered)
        finally:
            task.running = None

    async def _stored(self, task: Task, delivered: Delivered) -> None:
        try:
            async with aclosing(turns(task.work.stored(delivered))) as storing:
                async for now in storing:
                    self.last_taken = now
        except asyncio.CancelledError:
            task.failed = True
            raise
        except Exception as error:  # noqa: BLE001  # the checkpoint stands; only what is kept of it here is in doubt
            task.failed = True
            log.warning("state could not be stored; the task starts again", tp=str(task.tp), error=repr(error))


async def _ended(running: asyncio.Task[None], seconds: float) -> bool:
    """Wait for a checkpoint, but not for ever; whether it has ended."""
    done, _ = await asyncio.wait({running}, timeout=seconds)
    return bool(done)


async def _quietly(awaitable: Awaitable[Any]) -> None:
    try:
        await asyncio.wait_for(awaitable, GIVE_UP_SECONDS)
    except Exception as error:  # noqa: BLE001  # closing what is broken already: nothing is lost by it
        log.debug("while closing", error=repr(error))
