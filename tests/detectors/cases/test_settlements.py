"""Cases of one kind of evidence: what their accounts do besides condemns their events, or gives them back."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.cases.case_records import CaseRecords
from detectors.cases.closing_time import QUIET_MS
from detectors.cases.incidents import Incidents
from detectors.cases.settlements import ACTED, AWAITED, EMPTY_ACCOUNTS, LATE_MS, UNSETTLED, Settlements
from detectors.controls import Answered, Asked, Removed
from detectors.events.key import Key
from detectors.records import Flag, Outcome
from detectors.state.case import ARTIFICIAL, SUSPECT
from detectors.state.ledger import QUARANTINED, VALID, Ledger
from detectors.state.target_state import Outlook, TargetState
from detectors.windows.crowd import Crowd
from detectors.windows.scales import HOUR_MS, MINUTES_MS
from tests.crowds import fold
from tests.detectors.judged_windows import KEY, SCALES, START_MS, flags, given_back, verdict, window

SETTLE_MS = 48 * HOUR_MS
UNTIL = START_MS + MINUTES_MS
DUE = UNTIL + SETTLE_MS
PEOPLE = 240


class Schedule:
    """Notes when cases may close, in place of the audit."""

    def __init__(self) -> None:
        self.closings: list[int] = []

    def changed(self, key: Key) -> None:
        assert key == KEY

    def schedule_case(self, close_at_ms: int, key: Key) -> None:
        self.closings.append(close_at_ms)


class Target:
    """A target with a case of 240 new accounts, that rests on evidence of one kind."""

    def __init__(self, people: int = PEOPLE) -> None:
        self.people = people
        self.schedule = Schedule()
        records = CaseRecords(self.schedule, flags())
        self.settlements = Settlements(self.schedule, records, partition=3, settle_ms=SETTLE_MS)
        self.incidents = Incidents(self.schedule, SCALES, records, self.settlements, given_back(records))
        self.state = TargetState(ledger=Ledger(valid=1_000))
        self.outcome = Outcome()
        self.judge(SUSPECT, settles=True)

    def judge(self, kind: str, *, settles: bool = False, number: int = 0) -> None:
        """A window of the case's people, all with new accounts."""
        crowd = Crowd(start=START_MS + number * MINUTES_MS)
        fold(crowd, [(2 * actor + 1, -1, -1, -1, -1, 3, -1) for actor in range(self.people)])
        closed = window(self.state, count=self.people, expected=0.5, number=number, crowd=crowd)
        closed.outcome = self.outcome
        view = verdict(float(self.people), verdict=kind)
        view.settles = settles
        view.marks.codes = ["fresh_accounts"]
        self.incidents.act(closed, view)

    def end(self, now_ms: int | None = None) -> None:
        """End the open case, and settle what has waited long enough."""
        now = UNTIL + QUIET_MS * 4 if now_ms is None else now_ms
        self.incidents.expire(KEY, self.state, now, self.outcome)
        self.settlements.expire(KEY, self.state, now, self.outcome)

    def answer(self, acted: int, empty: int, unknown: int = 0, usual: tuple[int, int] = (78, 22)) -> None:
        """The answer of a partition."""
        record = Answered(DUE, self.flag.flag_id, KEY, acted, empty, unknown, *usual)
        self.settlements.answer(record, self.state, self.outcome)

    @property
    def flag(self) -> Flag:
        """The last revision of the flag."""
        return self.outcome.flags[-1]

    @property
    def parts(self) -> tuple[int, int, dict[str, int]]:
        """The ledger."""
        ledger = self.state.ledger
        return ledger.valid, ledger.quarantined, ledger.invalid


def waiting() -> Target:
    """A target whose case has ended and waits."""
    target = Target()
    target.end()
    return target


def test_at_the_end_of_the_case_its_accounts_are_asked_about_and_its_events_stay_in_quarantine() -> None:
    target = waiting()
    (asked,) = target.outcome.requests
    assert isinstance(asked, Asked)
    assert (asked.case, asked.key, asked.partition, asked.due) == (target.flag.flag_id, KEY, 3, DUE)
    assert asked.actors == [2 * actor for actor in range(PEOPLE)]
    assert target.parts == (1_000 - PEOPLE, PEOPLE, {})
    assert (target.flag.status, target.flag.verdict, target.flag.reasons[-1].code) == ("updated", SUSPECT, AWAITED)
    assert target.state.case is None
    assert target.schedule.closings[-1] == DUE + LATE_MS


def test_events_of_accounts_that_did_nothing_else_are_condemned_and_the_others_given_back() -> None:
    target = waiting()
    target.answer(acted=28, empty=212)
    assert target.parts == (1_000 - 212, 0, {EMPTY_ACCOUNTS: 212})
    assert (target.flag.status, target.flag.verdict) == ("closed", ARTIFICIAL)
    assert target.flag.reasons[-1].text == "212 of 240 accounts did nothing else within 48 hours; usual is 25%"
    assert target.flag.artificial.low < target.flag.artificial.value == 212 < target.flag.artificial.high
    moved = [(c.from_, c.to, c.count, c.reason) for c in target.outcome.corrections[-2:]]
    assert moved == [(QUARANTINED, EMPTY_ACCOUNTS, 212, EMPTY_ACCOUNTS), (QUARANTINED, VALID, 28, ACTED)]
    assert isinstance(target.outcome.requests[-1], Removed)
    assert not target.state.settlements


@pytest.mark.parametrize(
    ("acted", "empty", "usual"), [(160, 80, (78, 22)), (125, 115, (95, 5)), (24, 216, (15, 85)), (60, 180, (40, 60))]
)
def test_a_wave_of_sign_ups_ends_with_nothing_removed(acted: int, empty: int, usual: tuple[int, int]) -> None:
    target = waiting()
    target.answer(acted, empty, usual=usual)
    assert target.parts == (1_000, 0, {})
    assert (target.flag.status, target.flag.verdict, target.flag.artificial.value) == ("reversed", SUSPECT, 0)
    assert target.flag.reasons[-1].code == ACTED


def test_without_an_answer_everything_is_given_back_and_the_flag_says_so() -> None:
    target = waiting()
    target.end(DUE + LATE_MS - 1)
    assert target.state.settlements
    target.end(DUE + LATE_MS)
    assert target.parts == (1_000, 0, {})
    assert (target.flag.status, target.flag.reasons[-1].code) == ("reversed", UNSETTLED)
    assert target.outcome.corrections[-1].reason == UNSETTLED


def test_what_is_not_known_of_accounts_is_given_back() -> None:
    target = waiting()
    target.answer(acted=0, empty=100, unknown=20)
    target.end(DUE + LATE_MS)
    assert target.parts == (1_000 - 100, 0, {EMPTY_ACCOUNTS: 100})


def test_answers_of_several_partitions_are_summed() -> None:
    target = waiting()
    target.answer(acted=14, empty=106)
    assert target.state.settlements
    target.answer(acted=14, empty=106, usual=(0, 0))
    assert target.parts == (1_000 - 212, 0, {EMPTY_ACCOUNTS: 212})


@pytest.mark.parametrize("answer", [(0, 241, 0), (-1, 3, 0), (120, 120, 1)])
def test_an_answer_about_more_accounts_than_were_asked_about_has_no_effect(answer: tuple[int, int, int]) -> None:
    target = waiting()
    target.answer(*answer)
    (settlement,) = target.state.settlements
    assert settlement.answered() == 0
    target.settlements.answer(Answered(DUE, "another", KEY, 0, 240, 0, 78, 22), target.state, target.outcome)
    assert settlement.answered() == 0


def test_evidence_of_a_second_kind_decides_at_once_and_drops_the_settlement() -> None:
    target = waiting()
    target.judge(ARTIFICIAL)
    assert not target.state.settlements
    assert (target.flag.status, target.flag.verdict) == ("updated", ARTIFICIAL)
    assert AWAITED not in {reason.code for reason in target.flag.reasons}
    target.end(UNTIL + HOUR_MS)
    assert (target.flag.status, target.parts[1]) == ("closed", 0)
    assert sum(target.parts[2].values()) >= PEOPLE
    before = target.parts
    target.answer(acted=240, empty=0)
    assert target.parts == before


def test_more_evidence_of_the_same_kind_resumes_the_case_and_asks_again() -> None:
    target = waiting()
    target.judge(SUSPECT, settles=True)
    assert not target.state.settlements
    assert target.state.case is not None
    target.end(UNTIL + HOUR_MS)
    assert [request.case for request in target.outcome.requests if isinstance(request, Asked)] == [
        target.flag.flag_id
    ] * 2
    assert len({flag.flag_id for flag in target.outcome.flags}) == 1


def test_evidence_about_other_events_opens_another_case() -> None:
    target = waiting()
    target.judge(SUSPECT, settles=True, number=30)
    assert len(target.state.settlements) == 1
    assert len({flag.flag_id for flag in target.outcome.flags}) == 2


def test_a_waiting_case_is_stored_and_scheduled_again() -> None:
    target = waiting()
    stored = msgspec.msgpack.encode(target.state)
    target.state = msgspec.msgpack.decode(stored, type=TargetState)
    assert target.state.agenda().close_at == (DUE + LATE_MS,)
    assert msgspec.msgpack.decode(stored, type=Outlook).agenda() == target.state.agenda()
    target.answer(acted=28, empty=212)
    assert target.parts == (1_000 - 212, 0, {EMPTY_ACCOUNTS: 212})


def test_state_from_before_settlements_can_be_read() -> None:
    target = Target()
    stored = msgspec.to_builtins(target.state)
    for name in ("settles", "sample", "owner"):
        del stored["case"][name]
    old = msgspec.convert(stored, TargetState)
    assert old.settlements == []
    assert old.case is not None
    assert not old.case.settles


STEPS = st.one_of(
    st.tuples(st.just("answer"), st.integers(0, 240), st.integers(0, 240)),
    st.tuples(st.just("undo"), st.integers(0, 900), st.just(0)),
    st.tuples(st.just("judge"), st.sampled_from([0, 1, 30]), st.booleans().map(int)),
    st.tuples(st.just("restart"), st.just(0), st.just(0)),
    st.tuples(st.just("end"), st.integers(0, 60), st.just(0)),
)


@given(st.lists(STEPS, max_size=12))
def test_no_event_is_lost_or_stays_in_quarantine_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    target = waiting()
    for step, first, second in steps:
        if step == "answer":
            target.answer(first, second)
        elif step == "undo":
            target.state.ledger.undo(first)
        elif step == "judge":
            target.judge(ARTIFICIAL if second else SUSPECT, settles=not second, number=first)
        elif step == "restart":
            target.state = msgspec.msgpack.decode(msgspec.msgpack.encode(target.state), type=TargetState)
        else:
            target.end(UNTIL + first * HOUR_MS)
        assert target.state.ledger.raw == 1_000
        assert min(target.state.ledger.valid, target.state.ledger.quarantined) >= 0
    target.end(DUE + 100 * HOUR_MS)
    target.end(DUE + 200 * HOUR_MS)
    assert (target.state.ledger.raw, target.state.ledger.quarantined) == (1_000, 0)
    assert not target.state.settlements
    assert target.state.case is None
    last = {flag.flag_id: flag.status for flag in target.outcome.flags}
    assert set(last.values()) <= {"closed", "reversed"}
