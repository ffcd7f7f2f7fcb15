"""What to do about a batch that starts above its task's position: something passed the task by, or is no more."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import structlog
from faust.types import TP

from streams import metrics
from streams.engine.task import Gap, Membership, Task

log = structlog.get_logger()

SEEK_AGAIN_SECONDS = 1.0
"""What was sought and has not come by then is sought again, with the next batch that starts above it."""


async def gone(
    task: Task, start: int, membership: Callable[[], Membership], seek: Callable[[TP, int], Awaitable[None]]
) -> bool:
    """Whether what lies between a task's position and ``start`` is no more, so that the batch may be taken.

    What is missing is sought once a second at most: batches that were fetched before stand in line still, and each of
    them would send the consumer back again. If it has not come by the next batch, the broker is asked whether it has
    deleted it.
    """
    gap = task.gap
    if gap is not None and gap.position == task.position and not gap.asked:
        gap.asked = True
        await _pass_over_deleted(task, membership)
    now = time.monotonic()
    sought = gap is not None and gap.position == task.position and now - gap.sought_at <= SEEK_AGAIN_SECONDS
    if start > task.position and not sought:
        log.info("gap", tp=str(task.tp), position=task.position, start=start)
        task.gap = Gap(task.position, now)
        await seek(task.tp, task.position)
    return start <= task.position


async def _pass_over_deleted(task: Task, membership: Callable[[], Membership]) -> None:
    try:
        beginning = await membership().beginning(task.tp)
    except Exception as error:  # noqa: BLE001  # taken away, or no broker: whoever is next will see
        log.warning("could not ask for the beginning", tp=str(task.tp), error=repr(error))
        return
    if beginning > task.position:
        metrics.DELETED.labels(task.work.role, task.tp.topic).inc(beginning - task.position)
        log.error(
            "records were deleted before they were read: what they held is missing from every count. Give the"
            " topic a longer retention, or its group more workers",
            tp=str(task.tp),
            position=task.position,
            beginning=beginning,
        )
        task.position = beginning
