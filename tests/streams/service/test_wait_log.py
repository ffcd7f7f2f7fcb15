"""The log of a wait: not silent, and not a line for each try."""

from __future__ import annotations

from structlog.testing import capture_logs

from streams.clock import FakeClock
from streams.service.wait_log import WaitLog


def test_a_wait_is_logged_when_it_begins_once_a_minute_and_when_it_ends() -> None:
    clock = FakeClock()
    waits = WaitLog(clock, waiting="waiting", ended="found")
    with capture_logs() as lines:
        for _ in range(150):
            waits.wait("refused")
            clock.advance(1)
        waits.end()
        waits.end()
    assert [(line["event"], line["seconds"], line["log_level"]) for line in lines] == [
        ("waiting", 0, "warning"),
        ("waiting", 60, "warning"),
        ("waiting", 120, "warning"),
        ("found", 150, "info"),
    ]


def test_another_reason_is_logged_at_once() -> None:
    clock = FakeClock()
    waits = WaitLog(clock, waiting="waiting", ended="found")
    with capture_logs() as lines:
        for reason in ("refused", "refused", "no topic", "refused"):
            clock.advance(2)
            waits.wait(reason)
    assert [(line["reason"], line["seconds"]) for line in lines] == [("refused", 0), ("no topic", 4), ("refused", 6)]


def test_a_second_wait_begins_anew() -> None:
    clock = FakeClock()
    waits = WaitLog(clock, waiting="waiting", ended="found")
    with capture_logs() as lines:
        waits.wait("refused")
        clock.advance(5)
        waits.end()
        clock.advance(5)
        waits.wait("refused")
        clock.advance(3)
        waits.end()
    assert [(line["event"], line["seconds"]) for line in lines] == [
        ("waiting", 0),
        ("found", 5),
        ("waiting", 0),
        ("found", 3),
    ]


def test_without_a_wait_nothing_is_logged() -> None:
    with capture_logs() as lines:
        WaitLog(FakeClock(), waiting="waiting", ended="found").end()
    assert lines == []
