"""The life of a case, window by window: when it is revised, when it is extended, and when it closes."""

from __future__ import annotations

import pytest

from detectors.cases.closing_time import close_time
from detectors.cases.incidents import Incidents
from detectors.records import Flag, Outcome
from detectors.state.case import ARTIFICIAL, SUSPECT
from detectors.state.ledger import Ledger
from detectors.state.watched import Watched
from detectors.windows.scales import MINUTES_MS
from tests.detectors.judged_windows import KEY, SCALES, START_MS, flags, verdict, window


class Diary:
    """What an incident asks of its audit, noted."""

    def __init__(self) -> None:
        self.closings: list[int] = []
        self.changes = 0

    def changed(self, key: str) -> None:
        assert key == KEY
        self.changes += 1

    def schedule_case(self, close_at_ms: int, key: str) -> None:
        assert key == KEY
        self.closings.append(close_at_ms)


class Target:
    """A target of 10,000 valid views, whose windows expect ten events each."""

    def __init__(self) -> None:
        self.diary = Diary()
        self.incidents = Incidents(self.diary, SCALES, flags())
        self.watched = Watched(ledger=Ledger(valid=10_000))
        self.outcome = Outcome()

    def judge(self, artificial: float, *, number: int, count: int = 500, kind: str = ARTIFICIAL) -> None:
        """Its ``number``-th window, with so many artificial events."""
        look = window(self.watched, count=count, expected=10.0, number=number)
        look.outcome = self.outcome
        self.incidents.act(look, verdict(artificial, verdict=kind))

    def expire(self, now_ms: int) -> None:
        """Its case, if it may close."""
        self.incidents.expire(KEY, self.watched, now_ms, self.outcome)

    @property
    def flags(self) -> list[Flag]:
        return self.outcome.flags


def closes_after(number: int) -> int:
    """When a case closes that was last seen in a window of five minutes."""
    return close_time(START_MS + (number + 1) * MINUTES_MS, MINUTES_MS)


def test_a_case_stays_open_for_two_windows_after_the_last_that_moved_anything() -> None:
    target = Target()
    target.judge(100, number=0)
    target.judge(100, number=1)
    assert target.watched.case is not None
    assert target.watched.case.close_at == closes_after(1)
    assert target.diary.closings == [closes_after(0), closes_after(1)]


def test_a_window_in_which_nothing_is_taken_out_does_not_keep_a_case_open() -> None:
    target = Target()
    target.judge(100, number=0)
    target.judge(0, number=1)
    assert target.watched.case is not None
    assert target.watched.case.close_at == closes_after(0)
    assert target.diary.closings == [closes_after(0)]


def test_a_case_that_takes_nothing_out_is_opened_all_the_same_and_closes_in_time() -> None:
    target = Target()
    target.judge(0, number=0)
    assert target.diary.closings == [closes_after(0)]
    assert [flag.status for flag in target.flags] == ["opened"]


def test_an_older_window_does_not_bring_the_end_of_a_case_forward() -> None:
    target = Target()
    target.judge(100, number=3)
    target.judge(100, number=1)
    assert target.watched.case is not None
    assert target.watched.case.close_at == closes_after(3)
    assert target.diary.closings == [closes_after(3)]


@pytest.mark.parametrize(("second", "statuses"), [(25, ["opened"]), (26, ["opened", "updated"])])
def test_a_flag_is_revised_when_its_artificial_part_has_grown_by_more_than_a_quarter(
    second: int, statuses: list[str]
) -> None:
    target = Target()
    target.judge(100, number=0)
    target.judge(second, number=1)
    assert [flag.status for flag in target.flags] == statuses
    assert target.flags[-1].artificial.value == (100 if len(statuses) == 1 else 126)


def test_growth_is_counted_from_the_last_revision() -> None:
    target = Target()
    for number, artificial in enumerate([100, 20, 20, 20]):
        target.judge(artificial, number=number)
    assert [flag.artificial.value for flag in target.flags] == [100, 140]


def test_a_suspect_that_becomes_artificial_is_told_again_and_does_not_turn_back() -> None:
    target = Target()
    target.judge(100, number=0, kind=SUSPECT)
    target.judge(1, number=1, kind=ARTIFICIAL)
    target.judge(1, number=2, kind=SUSPECT)
    assert [flag.verdict for flag in target.flags] == [SUSPECT, ARTIFICIAL]


def test_a_case_closes_at_its_time_and_not_before() -> None:
    target = Target()
    target.judge(100, number=0)
    target.expire(closes_after(0) - 1)
    assert target.watched.case is not None
    target.expire(closes_after(0))
    assert target.watched.case is None
    assert [flag.status for flag in target.flags] == ["opened", "closed"]


@pytest.mark.parametrize(("kind", "valid", "invalid"), [(ARTIFICIAL, 9_900, {"surge": 100}), (SUSPECT, 10_000, {})])
def test_what_an_artificial_case_holds_becomes_invalid_and_what_a_suspect_holds_is_given_back(
    kind: str, valid: int, invalid: dict[str, int]
) -> None:
    target = Target()
    target.judge(100, number=0, kind=kind)
    assert (target.watched.ledger.valid, target.watched.ledger.quarantined) == (9_900, 100)
    target.expire(closes_after(0))
    ledger = target.watched.ledger
    assert (ledger.valid, ledger.quarantined, ledger.invalid) == (valid, 0, invalid)
    assert target.diary.changes == 2


def test_after_a_case_the_target_starts_anew() -> None:
    target = Target()
    target.judge(100, number=0)
    target.watched.cusum = 9.0
    target.expire(closes_after(0))
    assert (target.watched.cusum, target.watched.trail) == (0.0, [])
    target.judge(100, number=9)
    assert len({flag.flag_id for flag in target.flags}) == 2
