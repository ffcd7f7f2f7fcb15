"""The outlet of a task that a tool runs in place of a worker, without a consumer group."""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka.structs import TopicPartition

from streams.clock import Clock
from streams.engine.outlet import Outlet, PlainOutlet, TransactionalOutlet
from streams.roles import changelogs
from streams.settings.settings import Settings


def make_outlet(settings: Settings, task: str, *, clock: Clock) -> Outlet:
    """The outlet of the task with this id (``Role.task_id``). Its start fences other writers of the same task."""
    if settings.processing == "exactly_once":
        return TransactionalOutlet(settings, task, clock=clock)
    return PlainOutlet(settings, _ignore, changelogs=changelogs(settings), clock=clock)


async def end_outlet(outlet: Outlet) -> None:
    """Disconnect an outlet."""
    await outlet.stop()
    if isinstance(outlet, PlainOutlet):
        await outlet.close()


def _ignore(offsets: Mapping[TopicPartition, int]) -> None:
    """Do not commit group offsets: the position is stored with the state, and there is no group."""
