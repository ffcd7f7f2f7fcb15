"""Open windows are judged early; if all of them surge, those furthest above usual first."""

from __future__ import annotations

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
    """One audit that has seen forty ordinary minutes."""

    def __init__(self) -> None:
        self.audit, self.outcome, self._packer = Audit(AuditSettings()), Outcome(), Packer(1)
        self._position = 0
        self.take(ordinary(1, minutes=HISTORY_MINUTES, targets=TARGETS + 1))
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
