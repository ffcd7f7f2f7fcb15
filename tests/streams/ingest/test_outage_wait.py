"""An outage of the broker makes nothing late: sources wait for it, and for what producers have kept."""

from __future__ import annotations

import pytest

from streams.clock import FakeClock
from streams.ingest.outage_wait import LONGEST_WAIT_SECONDS, OutageWait
from streams.kafka.reachability import Answers


def _wait(answers: Answers, clock: FakeClock, recovery_seconds: float = 40.0) -> OutageWait:
    return OutageWait(answers, recovery_seconds, clock)


def test_event_time_does_not_wait_while_the_broker_answers() -> None:
    clock = FakeClock()
    assert not _wait(Answers(), clock).waits()
    clock.advance(1.0)
    assert not _wait(Answers(silent_since=0.0), clock).waits(), "a question that is on its way is no outage"


@pytest.mark.parametrize(("lasted_seconds", "recovery_seconds"), [(3, 9.5), (20, 35.0), (60, 40.0), (3600, 40.0)])
def test_event_time_waits_for_an_outage_and_as_long_as_producers_need_after_it(
    lasted_seconds: int, recovery_seconds: float
) -> None:
    clock = FakeClock()
    answers = Answers(silent_since=0.0)
    wait = _wait(answers, clock)
    clock.advance(min(lasted_seconds, LONGEST_WAIT_SECONDS - 1))
    assert wait.waits()
    answers.silent_since, answers.ended_at, answers.lasted_seconds = None, clock.monotonic(), float(lasted_seconds)
    clock.advance(recovery_seconds - 0.1)
    assert wait.waits()
    clock.advance(0.2)
    assert not wait.waits()


def test_others_do_not_wait_for_ever_for_a_broker_that_does_not_answer() -> None:
    clock = FakeClock()
    wait = _wait(Answers(silent_since=0.0), clock)
    clock.advance(LONGEST_WAIT_SECONDS - 1)
    assert wait.waits()
    clock.advance(1)
    assert not wait.waits()
    assert wait.unheard_ms() == LONGEST_WAIT_SECONDS * 1000, "and the time of a source that is not read stands"
