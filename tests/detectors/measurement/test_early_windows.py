"""Open windows are judged early; if all of them surge, those furthest above usual first."""

from __future__ import annotations

import pytest

from detectors.audit import Audit, AuditSettings
from detectors.events.event import Event
from detectors.lab.traffic.blocks import Packer
from detectors.measurement.early_windows import EARLY_JUDGINGS_MIN
from detectors.records import Outcome
from tests.crowds import MINUTE_MS, START_MS, TICK_MS, bought, by_tick, in_order, ordinary, viral

HISTORY_MINUTES = 40
SURGE_MS = START_MS + HISTORY_MINUTES * MINUTE_MS
TARGETS = 300
PAID = f"v{TARGETS}"
TICKS = 4


class Partition:
    """One audit that has seen ordinary minutes: by default forty."""

    def __init__(self, history: list[Event] | None = None) -> None:
        history = ordinary(1, minutes=HISTORY_MINUTES, targets=TARGETS + 1) if history is None else history
        self.audit, self.outcome, self._packer = Audit(AuditSettings()), Outcome(), Packer(1)
        self._position = 0
        self.take(history)
        self.outcome = Outcome()

    def take(self, events: list[Event]) -> None:
        for end, rows in by_tick(events):
            self._position += 1
            for _, block in self._packer.pack(rows):
                self.audit.observe(block, self._position, self.outcome)
            self.audit.advance(end, self.outcome)

    def judged(self) -> int:
        return sum(self.outcome.judged.values())


def evenly(events: list[Event]) -> list[Event]:
    """The same crowd at even distances: under twenty come in each tick, too few to judge the tick itself."""
    for number, event in enumerate(events):
        event.ts = SURGE_MS + number * TICKS * TICK_MS // len(events)
    return events


def surge(targets: int) -> list[Event]:
    """Four ticks in which each of so many targets gets twice what five minutes usually bring; one more buys."""
    honest = [viral(n, f"v{n}", begin=SURGE_MS, minutes=1, per_minute=9 * TICKS) for n in range(targets)]
    paid = bought(7, PAID, begin=SURGE_MS, minutes=1, per_minute=19 * TICKS)
    return in_order(evenly(paid), *map(evenly, honest))


def test_a_window_is_judged_before_its_end() -> None:
    partition = Partition()
    partition.take(surge(0))
    assert {flag.target for flag in partition.outcome.flags} == {PAID}


def test_where_the_whole_platform_surges_the_furthest_out_are_judged_first() -> None:
    partition = Partition()
    partition.take(surge(TARGETS))
    assert partition.outcome.put_off >= TARGETS - 2 * EARLY_JUDGINGS_MIN
    assert partition.judged() <= 2 * EARLY_JUDGINGS_MIN + 2
    assert {flag.target for flag in partition.outcome.flags} == {PAID}


def test_what_was_put_off_is_judged_at_its_end() -> None:
    partition = Partition()
    partition.take(surge(TARGETS))
    partition.audit.advance(SURGE_MS + 5 * MINUTE_MS, partition.outcome)
    assert partition.judged() > TARGETS
    assert {flag.target for flag in partition.outcome.flags} == {PAID}


def test_a_few_surging_windows_are_all_judged_at_once() -> None:
    partition = Partition()
    partition.take(surge(EARLY_JUDGINGS_MIN // 2))
    assert partition.outcome.put_off == 0
    assert partition.judged() >= EARLY_JUDGINGS_MIN // 4


SLOW_TICK_EVENTS = 19
"""Too few to judge the tick itself."""
FIRST_TICKS = 6
"""Ticks before the end of five minutes."""


def brief_targets() -> list[Event]:
    """Seventy minutes of targets that are viewed in five minutes each: an hour brings no more than its best minutes."""
    blocks = [ordinary(n, minutes=5, targets=20, start=START_MS + n * 5 * MINUTE_MS) for n in range(13)]
    for number, events in enumerate(blocks):
        for event in events:
            event.target = f"{number}-{event.target}"
    return in_order(*blocks)


def slow_burst(events: list[Event], *, begin: int) -> list[Event]:
    """The events at even distances, each by an actor of its own, on a target without a past."""
    for number, event in enumerate(events):
        event.ts = begin + number * TICK_MS // SLOW_TICK_EVENTS
        event.target, event.actor = PAID, f"{event.actor}-{number}"
    return events


END_MS = START_MS + 70 * MINUTE_MS


@pytest.mark.parametrize(("first_ticks", "ticks"), [(FIRST_TICKS, 17), (-1, 16)], ids=["across an end", "within"])
def test_a_burst_that_ends_soon_after_its_count_is_a_surge_is_found_at_once(first_ticks: int, ticks: int) -> None:
    partition = Partition(brief_targets())
    begin = END_MS - first_ticks * TICK_MS
    paid = bought(7, PAID, begin=begin, minutes=1, per_minute=ticks * SLOW_TICK_EVENTS)
    partition.take(slow_burst(paid, begin=begin))
    assert [flag.target for flag in partition.outcome.flags] == [PAID]


def test_an_honest_surge_that_ends_soon_after_it_is_one_is_no_flag() -> None:
    partition = Partition(brief_targets())
    begin = END_MS - FIRST_TICKS * TICK_MS
    honest = viral(7, PAID, begin=begin, minutes=1, per_minute=17 * SLOW_TICK_EVENTS)
    for number, event in enumerate(honest):
        event.ts, event.target = begin + number * TICK_MS // SLOW_TICK_EVENTS, PAID
    partition.take(honest)
    assert partition.judged() > 0
    partition.audit.advance(END_MS + 60 * MINUTE_MS, partition.outcome)
    assert not [flag for flag in partition.outcome.flags if flag.verdict in {"artificial", "suspect"}]
