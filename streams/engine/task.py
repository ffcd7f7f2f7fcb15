"""What the engine runs: a role's work on one partition, and what it needs of the consumer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from faust.types import TP

from streams.engine.outlet import Delivered, Outlet, Output
from streams.kafka.transport import Batch

PENDING_MAX = 20_000
"""Outputs a task may hold back before it waits for its running checkpoint: a slow broker slows the worker."""

URGENT_SECONDS = 1.0
"""Least time between two checkpoints that are brought forward."""

TURN_SECONDS = 0.02
"""What a task takes before others get their turn: heartbeats, transactions and other tasks wait for it, often."""


class Work(Protocol):
    """What a role does on one partition. Only ``restore`` may await; nothing else may block.

    ``take`` and ``stored`` are done in steps: each ``next`` does a little, and other tasks get their turn in between.
    """

    role: str
    every_seconds: float

    async def restore(self) -> int:
        """Rebuild the state; answers the position to go on from."""
        ...

    def take(self, batch: Batch, records: list[Any]) -> Iterable[None]:
        """Take the batch's records that are at or above the position.

        Between its steps ``stored`` may go on, and ``close`` may end both; nothing else is called.
        """
        ...

    def heartbeat(self, now: float, at_end: bool) -> None:
        """Time has passed (every ~0.5 s); ``at_end``: there is nothing more to read just now."""
        ...

    def pending(self) -> int:
        """Outputs waiting for the next checkpoint."""
        ...

    def urgent(self) -> bool:
        """Whether somebody waits for one of them: the next checkpoint is brought forward."""
        ...

    def cut(self, position: int) -> Iterable[Output]:
        """Outputs and changed state since the last cut; called at most once per checkpoint."""
        ...

    def stored(self, delivered: Delivered) -> Iterable[None]:
        """The checkpoint of the last cut is committed; ``delivered`` says up to where its topics hold it.

        Records may be taken between its steps.
        """
        ...

    def close(self) -> None:
        """The task is over, whether it was restored or not: take back what it shows in metrics."""
        ...


@dataclass(slots=True)
class Gap:
    """Records at a position that passed by, and when they were sought (monotonic)."""

    position: int
    sought_at: float
    asked: bool = False
    """whether the broker was asked if it still has them"""


@dataclass(slots=True)
class Task:
    """A partition's work, its position and its running checkpoint."""

    tp: TP
    work: Work
    outlet: Outlet
    position: int
    committed: int
    cut_at: float
    failed: bool = False
    running: asyncio.Task[None] | None = None
    dirty: bool = False
    heavy: bool = False
    """whether the last checkpoint that was started has much to send"""
    gap: Gap | None = None
    give_up_at: float | None = None
    """monotonic seconds from which on records that are being taken are given up, and the task with them"""
    heard_at: float = field(default_factory=time.monotonic)


class Membership(Protocol):
    """What the engine needs of the consumer."""

    def assignment(self) -> Iterable[TP]:
        """Partitions that are ours now."""
        ...

    async def seek(self, partition: TP, offset: int) -> None:
        """Deliver from this offset on; what has been fetched before may still come first."""
        ...

    async def beginning(self, tp: TP) -> int:
        """The first offset that the broker still has."""
        ...

    def remaining(self, tp: TP, position: int) -> int | None:
        """Records from a position to the end of what may be read, if known."""
        ...


async def turns(steps: Iterable[None]) -> AsyncGenerator[float]:
    """Do the steps, and let others have their turn every TURN_SECONDS. Answers when that was, in monotonic seconds.

    Closed before its end (``aclosing``), it closes the steps.
    """
    try:
        turn_at = time.monotonic() + TURN_SECONDS
        for _ in steps:
            if time.monotonic() >= turn_at:
                await asyncio.sleep(0)
                yield time.monotonic()
                turn_at = time.monotonic() + TURN_SECONDS
    finally:
        if isinstance(steps, Generator):
            steps.close()


class StepError(Exception):
    """A record of the log could not be audited. The task is to start again: it then does less with it."""
