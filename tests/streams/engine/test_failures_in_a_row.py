"""A task that fails again and again at one position is shown with the number of its failures, until it gets past it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faust.types import TP

from streams.clock import FakeClock
from streams.engine.failures_in_a_row import RECOVERED_SECONDS, FailuresInARow
from streams.metrics import REGISTRY

AT = TP("failing", 3)


def shown() -> float | None:
    labels = {"role": "targets", "topic": "failing", "partition": "3"}
    return REGISTRY.get_sample_value("truecount_task_failures_in_a_row", labels)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def failures(clock: FakeClock) -> Iterator[FailuresInARow]:
    made = FailuresInARow(clock=clock)
    yield made
    made.retain(set())
    assert shown() is None


def test_a_task_that_works_is_shown_as_0(failures: FailuresInARow) -> None:
    failures.working(AT, "targets", 7)
    assert shown() == 0


def test_failures_at_one_position_add_up_and_progress_ends_them(failures: FailuresInARow) -> None:
    failures.working(AT, "targets", 7)
    for count in (1, 2, 3):
        failures.failed(AT, "targets", 7)
        assert shown() == count
        failures.working(AT, "targets", 7)
        assert shown() == count, "it was opened again, and has not come further"
    failures.working(AT, "targets", 8)
    assert shown() == 0


def test_failures_with_progress_between_them_do_not_add_up(failures: FailuresInARow) -> None:
    for position in range(5):
        failures.failed(AT, "targets", position)
    assert shown() == 1


def test_a_task_that_cannot_be_opened_fails_at_one_position(failures: FailuresInARow) -> None:
    for _ in range(4):
        failures.failed(AT, "targets")
    failures.working(AT, "targets", 100)
    assert shown() == 4, "that it is open is no progress"
    failures.working(AT, "targets", 101)
    assert shown() == 0


def test_a_task_that_has_nothing_to_read_recovers_with_time(failures: FailuresInARow, clock: FakeClock) -> None:
    failures.failed(AT, "targets", 7)
    clock.advance(RECOVERED_SECONDS + 1)
    failures.working(AT, "targets", 7)
    assert shown() == 0
