"""What is done to workers, to their broker and to their disks. Each is one disturbance of a siege."""

from __future__ import annotations

import asyncio
import os
import signal

from tests.faults.siege import WORKERS, Disturbance, Siege

SETTLE_SECONDS = 2.0
"""Traffic flows undisturbed for this long before a single fault and after it."""
FREEZE_SECONDS = 9.0
"""Longer than the session timeout (6 s): the others take over before the frozen one wakes."""


def kills(count: int, *, shortest: float, longest: float) -> Disturbance:
    """SIGKILL to a random worker at random moments; it is started again at once, or a little later."""

    async def disturb(siege: Siege) -> None:
        for _ in range(count):
            await asyncio.sleep(siege.rng.uniform(shortest, longest))
            slot = siege.rng.randrange(WORKERS)
            siege.kill(slot)
            siege.report.faults += 1
            if siege.rng.random() < 0.5:
                await asyncio.sleep(siege.rng.uniform(0, shortest))
            siege.start(slot)

    return disturb


async def freeze(siege: Siege) -> None:
    """SIGSTOP to a random worker until its partitions are others', then SIGCONT: a zombie that still wants to write."""
    worker = siege.workers[siege.rng.randrange(WORKERS)]
    siege.report.faults += 1
    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(FREEZE_SECONDS)
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)
    await asyncio.sleep(SETTLE_SECONDS)
