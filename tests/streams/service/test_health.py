"""The probes: a worker that stands still is not live, one that waits for others is; one that restores is not ready."""

from __future__ import annotations

from typing import Any

from streams.clock import FakeClock
from streams.service.health import Health, Unreachable

LIMIT = 60.0


def working(clock: FakeClock, **changes: Any) -> dict[str, Any]:
    """What the loop notes of a worker that has nothing to do."""
    noted = {
        "behind": False,
        "progress": clock.monotonic(),
        "unsaved_since": None,
        "assigned": 2,
        "tasks": 2,
        "unreachable": None,
    }
    return noted | changes


def health(clock: FakeClock) -> Health:
    made = Health(LIMIT, clock, waiting_for="")
    made.note(**working(clock))
    return made


def test_a_worker_with_nothing_to_do_is_live_however_long_it_lasts() -> None:
    clock = FakeClock()
    idle = health(clock)
    for _ in range(100):
        clock.advance(10)
        idle.note(**working(clock, progress=0.0))
    assert idle.live()[0]


def test_work_that_comes_after_a_long_rest_gets_its_time() -> None:
    clock = FakeClock()
    rested = health(clock)
    clock.advance(10 * LIMIT)
    rested.note(**working(clock, behind=True, progress=0.0))
    assert rested.live()[0]
    clock.advance(LIMIT + 1)
    rested.note(**working(clock, behind=True, progress=0.0))
    assert rested.live() == (False, "there is lag, and no progress for 61 s")


def test_progress_without_a_checkpoint_is_no_life() -> None:
    clock = FakeClock()
    hollow = health(clock)
    since = clock.monotonic()
    for _ in range(13):
        clock.advance(5)
        hollow.note(**working(clock, behind=True, unsaved_since=since))
    assert hollow.live() == (False, "records have been taken for 65 s without a checkpoint")


def test_a_restore_that_reads_is_progress_and_one_that_does_not_is_none() -> None:
    clock = FakeClock()
    restoring = health(clock)
    for _ in range(100):
        clock.advance(10)
        restoring.note(**working(clock, behind=True, tasks=0))
    assert restoring.live()[0]
    assert restoring.ready() == (False, "0 of 2 partitions are restored")
    stood = clock.monotonic()
    clock.advance(LIMIT + 1)
    restoring.note(**working(clock, behind=True, tasks=0, progress=stood))
    assert not restoring.live()[0]


def test_a_loop_that_does_not_turn_is_no_life() -> None:
    clock = FakeClock()
    stuck = health(clock)
    clock.advance(LIMIT + 1)
    assert not stuck.live()[0]


def test_a_worker_that_waits_for_its_broker_is_live_and_not_ready() -> None:
    clock = FakeClock()
    waiting = Health(LIMIT, clock, waiting_for="no broker answers")
    clock.advance(100 * LIMIT)
    assert waiting.live() == (True, "no broker answers")
    assert waiting.ready() == (False, "no broker answers")


def test_a_worker_is_ready_when_all_its_partitions_are() -> None:
    clock = FakeClock()
    some = health(clock)
    some.note(**working(clock, tasks=1))
    assert some.ready() == (False, "1 of 2 partitions are restored")
    some.note(**working(clock))
    assert some.ready()[0]
    some.note(**working(clock, assigned=0, tasks=0))
    assert some.ready() == (False, "no partition is assigned yet")


OUTAGE = "kafka:9092: TCP connection refused"


def test_an_outage_of_the_broker_ends_readiness_and_never_life() -> None:
    clock = FakeClock()
    cut_off = health(clock)
    since = clock.monotonic()
    gone = Unreachable(since, OUTAGE, curable=False)
    for _ in range(100):
        clock.advance(10)
        cut_off.note(**working(clock, behind=True, progress=since, unsaved_since=since, unreachable=gone))
        assert cut_off.live()[0]
    assert cut_off.ready() == (False, f"no answer for 1000 s: {OUTAGE}")
    assert cut_off.live() == (True, f"no answer for 1000 s: {OUTAGE}")
    clock.advance(LIMIT - 1)
    cut_off.note(**working(clock, behind=True, progress=since, unsaved_since=since))
    assert cut_off.live() == (True, "alive")
    assert cut_off.ready()[0]


def test_a_worker_that_does_nothing_after_an_outage_is_no_life() -> None:
    clock = FakeClock()
    stuck = health(clock)
    gone = Unreachable(clock.monotonic(), OUTAGE, curable=False)
    clock.advance(5 * LIMIT)
    stuck.note(**working(clock, behind=True, progress=0.0, unreachable=gone))
    clock.advance(LIMIT + 1)
    stuck.note(**working(clock, behind=True, progress=0.0))
    assert stuck.live() == (False, "there is lag, and no progress for 61 s")


def test_a_worker_that_alone_does_not_reach_the_broker_is_restarted() -> None:
    clock = FakeClock()
    half_open = health(clock)
    alone = Unreachable(clock.monotonic(), "the broker answers new connections", curable=True)
    clock.advance(LIMIT + 1)
    half_open.note(**working(clock, behind=True, progress=0.0, unreachable=alone))
    clock.advance(LIMIT + 1)
    half_open.note(**working(clock, behind=True, progress=0.0, unreachable=alone))
    assert not half_open.live()[0]
    assert not half_open.ready()[0]
