"""Gaps: a batch starts above the position of its task, because records were lost on the way or deleted."""

from __future__ import annotations

import structlog

from streams import metrics
from streams.clock import Clock
from streams.engine.assignment import Assignment
from streams.engine.task import Gap, Task

log = structlog.get_logger()

SEEK_AGAIN_SECONDS = 1.0
"""If the records have not come by then, the next batch above the gap makes the engine seek again."""


async def gone(task: Task, start: int, *, assignment: Assignment, clock: Clock) -> bool:
    """Whether the records between a task's position and ``start`` no longer exist, so that the batch may be taken.

    If they may exist, seek to the position, once a second at most: batches that were fetched before are still
    queued, and each of them would send the consumer back again. If the records have not come by the next batch, ask
    the broker whether it has deleted them.
    """
    gap = task.gap
    if gap is not None and gap.position == task.position and not gap.asked:
        gap.asked = True
        await _pass_over_deleted(task, assignment)
    now = clock.monotonic()
    sought = gap is not None and gap.position == task.position and now - gap.sought_at <= SEEK_AGAIN_SECONDS
    if start > task.position and not sought:
        log.info("gap", tp=str(task.tp), position=task.position, start=start)
        task.gap = Gap(task.position, now)
        await assignment.seek(task.tp, task.position)
    return start <= task.position


async def _pass_over_deleted(task: Task, assignment: Assignment) -> None:
    beginning = await assignment.beginning(task.tp)
    if beginning is not None and beginning > task.position:
        metrics.DELETED.labels(task.work.role, task.tp.topic).inc(beginning - task.position)
        log.error(
            "records were deleted before they were read: what they held is missing from every count. Give the"
            " topic a longer retention, or its group more workers",
            tp=str(task.tp),
            position=task.position,
            beginning=beginning,
        )
        task.position = beginning
