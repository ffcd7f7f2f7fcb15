"""Clocks: the protocol, the system's clock, and a fake clock for tests.

Code that measures time gets a clock as a parameter. Only the worker and the command line make a ``SystemClock``.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from itertools import count
from typing import Protocol


class Clock(Protocol):
    """Wall time, elapsed time, and sleep. Reading a time never blocks."""

    def epoch_ms(self) -> int:
        """Wall time in milliseconds since 1970 UTC. It may jump in both directions: never subtract two of them."""
        ...

    def monotonic(self) -> float:
        """Seconds since an unknown moment. It never goes back: use it for deadlines and durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds at the earliest. Other coroutines run meanwhile."""
        ...


class SystemClock:
    """The clock of the machine."""

    monotonic = staticmethod(time.monotonic)
    """See Clock. It is the C function itself, because tasks call it after every step."""

    def epoch_ms(self) -> int:
        """See Clock."""
        return int(time.time() * 1000)

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)


class FakeClock:
    """A clock for tests. Its time changes only by ``advance``.

    >>> clock = FakeClock(epoch_ms=1_000)
    >>> clock.advance(2.5)
    >>> clock.epoch_ms(), clock.monotonic()
    (3500, 2.5)
    """

    def __init__(self, *, epoch_ms: int = 1_700_000_000_000) -> None:
        self._began_ms = epoch_ms
        self._seconds = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()
        """of sleepers that wake at the same time, the one that began first wakes first"""

    def epoch_ms(self) -> int:
        """See Clock."""
        return self._began_ms + round(self._seconds * 1000)

    def monotonic(self) -> float:
        """See Clock. Seconds since the clock was made."""
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        """See Clock. It waits for ``advance``, or does not wait if ``seconds`` is not positive."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wakes = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + seconds, next(self._order), wakes))
        await wakes

    def advance(self, seconds: float) -> None:
        """Move the time forward. Coroutines whose sleep ends continue in the next turn of the event loop."""
        self._seconds += seconds
        while self._sleepers and self._sleepers[0][0] <= self._seconds:
            wakes = heapq.heappop(self._sleepers)[2]
            if not wakes.done():  # the sleeper may have been cancelled
                wakes.set_result(None)
