"""Closed ticks that rules still compare acts with."""

from __future__ import annotations

from detectors.intake.past_ticks import PastTicks
from detectors.intake.ticks import Tick


def closed(start: int, log_from: int, log_to: int) -> tuple[int, Tick]:
    tick = Tick(log_from)
    tick.log_to = log_to
    return start, tick


def test_what_is_stored_says_until_which_record_a_tick_was_open() -> None:
    past, restored = PastTicks(), PastTicks()
    for start, tick in (closed(10_000, 4, 9), closed(0, 1, 5)):
        past.note(start, tick)
    assert past.dump() == [(0, 5), (10_000, 9)]
    restored.load(past.dump())
    assert [restored.was_open(0, position) for position in (4, 5, 6)] == [True, True, False]
    assert not restored.was_open(20_000, 0), "of this tick nothing was stored"
    assert restored.dump() == [], "a tick that was closed before is known again when it closes again"


def test_ticks_are_forgotten_up_to_a_moment_and_with_them_where_they_begin() -> None:
    past = PastTicks()
    for start, tick in (closed(0, 1, 5), closed(10_000, 4, 9), closed(20_000, 8, 12)):
        past.note(start, tick)
    past.forget(10_000)
    assert past.dump() == [(20_000, 12)]
    assert past.first_positions() == [8]
