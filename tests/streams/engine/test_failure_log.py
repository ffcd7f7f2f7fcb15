"""Records that could not be audited: how much is still done with one, which positions are noted, what is logged."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from detectors.events.key import VIEW, key_of
from detectors.records import Unjudged
from streams.clock import FakeClock
from streams.engine import failure_log
from streams.engine.failed_records import RANGES_MAX, FailureCounts, Positions
from streams.engine.failure_log import FailureLog

KEY = key_of(VIEW, "v")


def test_less_is_done_with_a_record_each_time_it_fails() -> None:
    assert [FailureCounts(events=failed).counts_events() for failed in range(3)] == [True, True, False]
    assert [FailureCounts(time=failed).judges_windows() for failed in range(3)] == [True, False, False]
    assert [FailureCounts(time=failed).advances_time() for failed in range(3)] == [True, True, False]


@given(st.lists(st.integers(0, 30), max_size=40))
def test_positions_are_as_few_ranges_as_there_can_be(noted: list[int]) -> None:
    positions = Positions()
    for position in noted:
        positions.add(position)
    ranges = positions.ranges()
    assert sorted({at for first, last in ranges for at in range(first, last + 1)}) == sorted(set(noted))
    assert all(one[1] + 1 < other[0] for one, other in pairwise(ranges))
    assert positions.total() == len(set(noted))
    assert [at in positions for at in range(32)] == [at in noted for at in range(32)]


def test_ranges_that_were_stored_go_on() -> None:
    positions = Positions([(9, 9), (3, 4)])
    positions.add(5)
    assert positions.ranges() == [(3, 5), (9, 9)]


def test_the_last_ranges_are_kept_and_all_that_a_restore_reads_again() -> None:
    every_other = [(2 * n, 2 * n) for n in range(RANGES_MAX + 3)]
    assert Positions(every_other).ranges() == every_other[3:]
    assert Positions(every_other[:RANGES_MAX]).ranges() == every_other[:RANGES_MAX]
    assert Positions(every_other).ranges(needed_from=2) == every_other[1:]
    assert Positions(every_other).ranges(needed_from=3) == every_other[2:]
    positions = Positions(every_other)
    positions.ranges()
    assert 0 not in positions


def test_the_same_failure_is_logged_once_a_minute_with_how_often_it_came_between() -> None:
    clock = FakeClock()
    failures, failure = FailureLog(partition=3, clock=clock), Unjudged("window", KEY, 60_000, 5, "KeyError('x')")
    with capture_logs() as logs:
        failures.contained(failure, 7)
        for later in (1.0, 58.9):
            clock.advance(later)
            failures.contained(failure, 8)
        clock.advance(0.1)
        failures.contained(failure, 9)
        clock.advance(60.0)
        failures.contained(failure, 10)
    assert [(line["position"], line["as_often_before"]) for line in logs] == [(7, 0), (9, 2), (10, 0)]
    assert logs[0]["partition"] == 3


def test_another_part_or_another_error_is_another_failure() -> None:
    failures = FailureLog(partition=0, clock=FakeClock())
    with capture_logs() as logs:
        for part, error in (("window", "a"), ("window", "b"), ("learning", "a"), ("window", "a")):
            failures.contained(Unjudged(part, KEY, 0, 0, error), 1)
    assert len(logs) == 3


def test_of_failures_without_end_a_bounded_number_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failure_log, "SIGNATURES_MAX", 3)
    failures = FailureLog(partition=0, clock=FakeClock())
    with capture_logs() as logs:
        for error in ("a", "b", "c", "a", "d", "a"):
            failures.contained(Unjudged("window", KEY, 0, 0, error), 1)
    assert [line["failure"] for line in logs] == ["a", "b", "c", "d", "a"]
    assert logs[-1]["as_often_before"] == 0


def test_what_is_remembered_of_failures_is_bounded_however_many_there_are() -> None:
    apart = [(2 * n, 2 * n) for n in range(900)]
    assert len(Positions(apart).ranges()) <= 600
    failures = FailureLog(partition=0, clock=FakeClock())
    with capture_logs() as logs:
        for number in [*range(1_500), 0, 1_499]:
            failures.contained(Unjudged("window", KEY, 0, 0, f"error {number}"), 1)
    assert [line["failure"] for line in logs[1_500:]] == ["error 0"], "the first is forgotten, and the last is not"
