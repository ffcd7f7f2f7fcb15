"""Checkpoints: decides when one is due, and commits a task's outputs, state and position together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass

import structlog
from aiokafka.structs import TopicPartition
from faust.types import TP

from streams import metrics
from streams.clock import Clock
from streams.engine.activity import Activity
from streams.engine.assignment import Assignment
from streams.engine.outlet import Delivered, OutletError, Output
from streams.engine.task import PENDING_MAX, Task, turns

log = structlog.get_logger()

URGENT_SECONDS = 1.0
"""Least time between two checkpoints that are taken early because they are urgent."""

BEHIND_SECONDS = 2.0
"""Longest time between two checkpoints of a task that is behind, if its interval is shorter. See ``start_if_due``."""


@dataclass(slots=True, kw_only=True)
class Checkpoints:
    """Cuts and commits the checkpoints of all tasks. A checkpoint that fails marks its task as failed."""

    clock: Clock
    activity: Activity
    assignment: Assignment
    pause: Callable[[TP], None]
    """does not open a partition again for a moment: its work raised, and may raise again at once"""

    def start_if_due(self, task: Task, lag: int | None) -> None:
        """Start a checkpoint if something has changed, none is running, and one is due. Raises what the work raises.

        A task whose ``lag`` is greater than the number of records since its last checkpoint waits for more of them, up
        to BEHIND_SECONDS: transactions cost the same however many records they have, and what it reads is late anyway.
        So a record waits for its checkpoint no longer than it has waited, or would have to wait, to be read.
        """
        if not task.dirty or task.running is not None:
            return
        work = task.work
        every_seconds = min(work.every_seconds, URGENT_SECONDS) if work.urgent() else work.every_seconds
        if lag is not None and lag > task.position - task.cut_position and not work.urgent():
            every_seconds = max(every_seconds, BEHIND_SECONDS)
        if self.clock.monotonic() - task.cut_at >= every_seconds or work.pending() > PENDING_MAX:
            self.start(task)

    def start(self, task: Task) -> asyncio.Task[None]:
        """Cut a checkpoint now and commit it later: by then, the next records may be half taken."""
        position = task.cut_position = task.position
        task.heavy = task.work.pending() > PENDING_MAX
        task.dirty = False
        task.cut_at = self.clock.monotonic()
        oldest_ms, task.oldest_ms = task.oldest_ms, None
        outputs: Iterable[Output] | Exception
        try:
            outputs = task.work.cut(position)
        except Exception as error:  # noqa: BLE001  # handled in _commit, as any other failure of a checkpoint
            outputs = error
        task.running = asyncio.get_running_loop().create_task(self._commit(task, position, outputs, oldest_ms))
        return task.running

    async def _commit(
        self, task: Task, position: int, outputs: Iterable[Output] | Exception, oldest_ms: int | None
    ) -> None:
        role = task.work.role
        try:
            if isinstance(outputs, Exception):
                raise outputs
            offsets = {TopicPartition(task.tp.topic, task.tp.partition): position}
            delivered = await task.outlet.commit(outputs, offsets)
        except asyncio.CancelledError:
            task.failed = True
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is: the outputs are lost, so the task starts again
            task.failed = True
            metrics.CHECKPOINTS.labels(role, "failed").inc()
            await self._retry(task, error)
        else:
            task.committed = position
            self.activity.committed(task.tp, cut_at=task.cut_at, more=task.dirty)
            now_ms = self.clock.epoch_ms()
            metrics.LAST_PROGRESS.set(now_ms / 1000)
            if oldest_ms is not None:
                metrics.COMMIT_LATENCY.labels(role).observe(max(0, now_ms - oldest_ms) / 1000)
            metrics.CHECKPOINTS.labels(role, "committed").inc()
            metrics.CHECKPOINT_SECONDS.labels(role).observe(self.clock.monotonic() - task.cut_at)
            await self._store(task, delivered)
        finally:
            task.running = None

    async def _retry(self, task: Task, error: Exception) -> None:
        """Log why a checkpoint failed, and read its records again."""
        sentence = "checkpoint failed; the task starts again from its last one"
        if isinstance(error, OutletError):
            log.warning(sentence, tp=str(task.tp), error=str(error))
        else:
            log.error(sentence, tp=str(task.tp), error=repr(error), exc_info=error)
            self.pause(task.tp)
        if self.assignment.has(task.tp):
            await self.assignment.seek(task.tp, task.committed)

    async def _store(self, task: Task, delivered: Delivered) -> None:
        try:
            async with aclosing(turns(task.work.stored(delivered), clock=self.clock)) as storing:
                async for now in storing:
                    self.activity.stored(now)
        except asyncio.CancelledError:
            task.failed = True
            raise
        except Exception as error:  # noqa: BLE001  # the checkpoint is committed; only the local copy may be wrong
            task.failed = True
            log.warning("state could not be stored; the task starts again", tp=str(task.tp), error=repr(error))


async def ended(running: asyncio.Task[None], seconds: float) -> bool:
    """Wait for a checkpoint, this many seconds at most. Returns whether it has ended."""
    done, _ = await asyncio.wait({running}, timeout=seconds)
    return bool(done)
