"""Tasks: the work of a role on one partition, with its position. The engine runs them."""

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
"""Pending outputs from which a task waits for its running checkpoint, so that a slow broker slows the worker down."""

TURN_SECONDS = 0.02
"""How long a task works before it lets the event loop run. Heartbeats, transactions and other tasks wait for it."""


class Work(Protocol):
    """The work of a role on one partition. Only ``restore`` may await, and no method may block.

    ``take`` and ``stored`` work in steps: each ``next`` does a little, and other tasks run in between.
    ``restore`` is called first and once; then the others in any order, one at a time; ``close`` is called last.
    If a method raises, the engine closes this work and makes another, which restores the last committed checkpoint.

    The same records from the same checkpoint give the same outputs, wherever later checkpoints are cut.
    ``tests/contract/test_work.py`` checks this contract for every role.
    """

    role: str
    every_seconds: float
    """seconds between two checkpoints; they may be more while the task is behind"""

    async def restore(self) -> int:
        """Rebuild the state of the last committed checkpoint. Returns the position to go on from."""
        ...

    def take(self, batch: Batch, records: list[Any]) -> Iterable[None]:
        """Take the records of a batch that are at or above the position.

        Between its steps, steps of ``stored`` may run, and ``close`` may end both. Nothing else is called.
        """
        ...

    def heartbeat(self, now_ms: int, at_end: bool) -> None:
        """Called about every 0.5 s of wall time. ``at_end``: there is nothing more to read now."""
        ...

    def pending(self) -> int:
        """The number of outputs that wait for the next checkpoint."""
        ...

    def urgent(self) -> bool:
        """Whether an output should be readable soon. The next checkpoint is taken early then."""
        ...

    def cut(self, position: int) -> Iterable[Output]:
        """Return the outputs and the changed state since the last cut. Called at most once per checkpoint.

        They may be read twice, and do not change while more records are taken.
        """
        ...

    def stored(self, delivered: Delivered) -> Iterable[None]:
        """The checkpoint of the last cut is committed. ``delivered`` has the end of each topic that it wrote to.

        Records may be taken between its steps.
        """
        ...

    def close(self) -> None:
        """Release files and remove this work's share from the metrics. May be called twice, and before ``restore``."""
        ...


@dataclass(slots=True)
class Gap:
    """A position whose records are missing, and the time of the last seek to it (monotonic seconds)."""

    position: int
    sought_at: float
    asked: bool = False
    """whether the broker was asked if it still has the records"""


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
    cut_position: int
    """position of the last checkpoint, committed or not"""
    delivered_at: float
    """monotonic seconds at which the task last took a batch, or sought one"""
    oldest_ms: int | None = None
    """timestamp in Kafka of the oldest record that was taken since the last checkpoint was cut, in epoch ms"""
    failed: bool = False
    running: asyncio.Task[None] | None = None
    """the checkpoint that is being committed"""
    dirty: bool = False
    """whether something has changed since the last checkpoint"""
    heavy: bool = False
    """whether the last checkpoint that was started has many outputs"""
    gap: Gap | None = None
    give_up_at: float | None = None
    """monotonic seconds after which an unfinished batch is interrupted, and the task has failed"""


async def turns(steps: Iterable[None], *, clock: Clock) -> AsyncGenerator[float]:
    """Do the steps, and let other coroutines run every TURN_SECONDS. Yields the monotonic seconds after each pause.

    If it is closed early (``aclosing``), it closes the steps.
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
