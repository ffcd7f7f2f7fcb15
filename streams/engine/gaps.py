"""Gaps: a batch starts above the position of its task, because records were lost in transport or deleted."""

from __future__ import annotations

import structlog

from streams import metrics
from streams.clock import Clock
from streams.engine.assignment import Assignment
from streams.engine.task import Gap, Task

log = structlog.get_logger()

SEEK_AGAIN_SECONDS = 1.0
"""If the records of a gap do not arrive within this time, the next batch above it makes the engine seek again."""


async def may_take(task: Task, start: int, *, assignment: Assignment, clock: Clock) -> bool:
    """Whether a batch from ``start`` may be taken, because the records between the position and it no longer exist.

    If they may exist, it seeks to the position, once a second at most: batches that were fetched before are still
    queued, and each of them would cause a seek. If the records have not arrived by the next batch, it asks the broker
    whether it has deleted them.
    """
    gap = task.gap
    if gap is not None and gap.position == task.position and not gap.asked:
        gap.asked = True
        await _skip_deleted(task, assignment)
    now = clock.monotonic()
    sought = gap is not None and gap.position == task.position and now - gap.sought_at <= SEEK_AGAIN_SECONDS
    if start > task.position and not sought:
        log.info("gap", tp=str(task.tp), position=task.position, start=start)
        task.gap = Gap(task.position, now)
        await assignment.seek(task.tp, task.position)
    return start <= task.position


async def _skip_deleted(task: Task, assignment: Assignment) -> None:
    beginning = await assignment.beginning(task.tp)
    if beginning is not None and beginning > task.position:
        metrics.DELETED.labels(task.work.role, task.tp.topic).inc(beginning - task.position)
        log.error(
            "records were deleted before they were read: their events are missing from every count. Give the"
            " topic a longer retention, or its group more workers",
            tp=str(task.tp),
            position=task.position,
            beginning=beginning,
        )
        task.position = beginning
