"""What the engine runs: the work of a role on one partition, and where it has got to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from faust.types import TP

from streams.clock import Clock
from streams.engine.outlet import Delivered, Outlet, Output
from streams.kafka.transport import Batch

PENDING_MAX = 20_000
"""Outputs that a task may have pending before it waits for its running checkpoint: a slow broker slows the worker."""

TURN_SECONDS = 0.02
"""How long a task works before it lets others run. Heartbeats, transactions and other tasks wait for it."""


class Work(Protocol):
    """What a role does on one partition. Only ``restore`` may await, and nothing else may block.

    ``take`` and ``stored`` work in steps: each ``next`` does a little, and other tasks run in between.
    ``restore`` is called first and once; then the others in any order, one at a time; ``close`` is called last.
    Whatever raises, the engine closes this work and makes another, which restores from the last committed checkpoint.

    The same records from the same checkpoint give the same outputs, wherever checkpoints are cut in between.
    ``tests/contract/test_work.py`` checks this contract for every role.
    """

    role: str
    every_seconds: float
    """between two checkpoints"""

    async def restore(self) -> int:
        """Rebuild the state of the last committed checkpoint. Answers the position to go on from."""
        ...

    def take(self, batch: Batch, records: list[Any]) -> Iterable[None]:
        """Take the batch's records that are at or above the position.

        Between its steps ``stored`` may go on, and ``close`` may end both. Nothing else is called.
        """
        ...

    def heartbeat(self, now_ms: int, at_end: bool) -> None:
        """Wall time has passed (every ~0.5 s); ``at_end`` if there is nothing more to read just now."""
        ...

    def pending(self) -> int:
        """How many outputs wait for the next checkpoint."""
        ...

    def urgent(self) -> bool:
        """Whether a reader waits for one of the outputs: the next checkpoint is brought forward."""
        ...

    def cut(self, position: int) -> Iterable[Output]:
        """Outputs and changed state since the last cut; called at most once per checkpoint.

        The outputs may be read twice, and stay the same while more records are taken.
        """
        ...

    def stored(self, delivered: Delivered) -> Iterable[None]:
        """The checkpoint of the last cut is committed; ``delivered`` gives the end of each topic that it wrote to.

        Records may be taken between its steps.
        """
        ...

    def close(self) -> None:
        """Release files and take back what metrics show of this work. It may be called twice, and before a restore."""
        ...


@dataclass(slots=True)
class Gap:
    """A position whose records were missed, and when they were sought (monotonic seconds)."""

    position: int
    sought_at: float
    asked: bool = False
    """whether the broker was asked if it still has them"""


@dataclass(slots=True, kw_only=True)
class Task:
    """A partition's work, its position and its running checkpoint."""

    tp: TP
    work: Work
    outlet: Outlet
    position: int
    committed: int
    cut_at: float
    """monotonic seconds of the last checkpoint's start"""
    heard_at: float
    """monotonic seconds at which the task last took a batch, or asked for one"""
    failed: bool = False
    running: asyncio.Task[None] | None = None
    """the checkpoint that is being committed"""
    dirty: bool = False
    """whether there is something that no checkpoint has"""
    heavy: bool = False
    """whether the last checkpoint that was started has much to send"""
    gap: Gap | None = None
    give_up_at: float | None = None
    """monotonic seconds from which on a batch that is being taken is given up, and the task with it"""


async def turns(steps: Iterable[None], *, clock: Clock) -> AsyncGenerator[float]:
    """Do the steps, and let others run every TURN_SECONDS. Yields the monotonic seconds of each such turn.

    Closed before its end (``aclosing``), it closes the steps.
    """
    monotonic = clock.monotonic  # once, not once a step
    try:
        turn_at = monotonic() + TURN_SECONDS
        for _ in steps:
            if monotonic() >= turn_at:
                await asyncio.sleep(0)
                yield monotonic()
                turn_at = monotonic() + TURN_SECONDS
    finally:
        if isinstance(steps, Generator):
            steps.close()


class StepError(Exception):
    """A record of the log could not be audited. The task starts again, and then does less with that record."""
