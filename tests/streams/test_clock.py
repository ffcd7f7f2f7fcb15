"""Clocks: a fake one stands still until it is moved, and what sleeps on it wakes in order."""

from __future__ import annotations

import asyncio
import time

import pytest

from streams.clock import Clock, FakeClock, SystemClock


@pytest.mark.parametrize("clock", [SystemClock(), FakeClock()], ids=["system", "fake"])
def test_every_clock_tells_milliseconds_and_never_goes_back(clock: Clock) -> None:
    assert clock.epoch_ms() > 1_600_000_000_000
    assert isinstance(clock.epoch_ms(), int)
    before = clock.monotonic()
    asyncio.run(clock.sleep(0))
    assert clock.monotonic() >= before


def test_the_clock_of_the_system_is_that_of_the_machine() -> None:
    clock = SystemClock()
    assert abs(clock.epoch_ms() - time.time() * 1000) < 60_000
    began = clock.monotonic()
    asyncio.run(clock.sleep(0.01))
    assert clock.monotonic() - began >= 0.009


def test_a_fake_clock_moves_both_times_and_only_when_it_is_moved() -> None:
    clock = FakeClock(epoch_ms=5_000)
    assert (clock.epoch_ms(), clock.monotonic()) == (5_000, 0.0)
    clock.advance(0.5)
    clock.advance(1.0)
    assert (clock.epoch_ms(), clock.monotonic()) == (6_500, 1.5)


def test_sleepers_wake_when_their_time_has_come_and_in_order() -> None:
    woken: list[str] = []

    async def sleeper(clock: FakeClock, name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async def course() -> None:
        clock = FakeClock()
        tasks = [
            asyncio.create_task(sleeper(clock, name, seconds))
            for name, seconds in (("last", 3), ("first", 1), ("second", 1), ("gone", 1))
        ]
        await asyncio.sleep(0)
        tasks[3].cancel()
        clock.advance(0.9)
        await asyncio.sleep(0)
        assert woken == []
        clock.advance(0.1)
        await asyncio.sleep(0)
        assert woken == ["first", "second"]
        clock.advance(10)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert woken == ["first", "second", "last"]

    asyncio.run(course())
