"""The probes: a worker that stands still is not live, one that waits for others is; one that restores is not ready."""

from __future__ import annotations

import time
from typing import Any

import pytest

from streams.service.health import Health

LIMIT = 60.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Monotonic time that stands until it is told to pass."""

    class Clock:
        now = 1000.0

        def passes(self, seconds: float) -> None:
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def working(**changes: Any) -> dict[str, Any]:
    """What the loop notes of a worker that has nothing to do."""
    noted = {"behind": False, "progress": time.monotonic(), "unsaved_since": None, "assigned": 2, "tasks": 2}
    return noted | changes


def health() -> Health:
    made = Health(LIMIT, waiting_for="")
    made.note(**working())
    return made


def test_a_worker_with_nothing_to_do_is_live_however_long_it_lasts(clock: Any) -> None:
    idle = health()
    for _ in range(100):
        clock.passes(10)
        idle.note(**working(progress=1000.0))
    assert idle.live()[0]


def test_work_that_comes_after_a_long_rest_gets_its_time(clock: Any) -> None:
    rested = health()
    clock.passes(10 * LIMIT)
    rested.note(**working(behind=True, progress=1000.0))
    assert rested.live()[0]
    clock.passes(LIMIT + 1)
    rested.note(**working(behind=True, progress=1000.0))
    assert rested.live() == (False, "there is lag, and no progress for 61 s")


def test_progress_without_a_checkpoint_is_no_life(clock: Any) -> None:
    hollow = health()
    since = clock.now
    for _ in range(13):
        clock.passes(5)
        hollow.note(**working(behind=True, unsaved_since=since))
    assert hollow.live() == (False, "records have been taken for 65 s without a checkpoint")


def test_a_restore_that_reads_is_progress_and_one_that_does_not_is_none(clock: Any) -> None:
    restoring = health()
    for _ in range(100):
        clock.passes(10)
        restoring.note(**working(behind=True, tasks=0))
    assert restoring.live()[0]
    assert restoring.ready() == (False, "0 of 2 partitions are restored")
    stood = clock.now
    clock.passes(LIMIT + 1)
    restoring.note(**working(behind=True, tasks=0, progress=stood))
    assert not restoring.live()[0]


def test_a_loop_that_does_not_turn_is_no_life(clock: Any) -> None:
    stuck = health()
    clock.passes(LIMIT + 1)
    assert not stuck.live()[0]


def test_a_worker_that_waits_for_its_broker_is_live_and_not_ready(clock: Any) -> None:
    waiting = Health(LIMIT, waiting_for="no broker answers")
    clock.passes(100 * LIMIT)
    assert waiting.live() == (True, "no broker answers")
    assert waiting.ready() == (False, "no broker answers")


def test_a_worker_is_ready_when_all_its_partitions_are() -> None:
    some = health()
    some.note(**working(tasks=1))
    assert some.ready() == (False, "1 of 2 partitions are restored")
    some.note(**working())
    assert some.ready()[0]
    some.note(**working(assigned=0, tasks=0))
    assert some.ready() == (False, "no partition is assigned yet")
