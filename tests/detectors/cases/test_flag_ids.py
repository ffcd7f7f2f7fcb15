"""Flag ids: one for each case, whatever window opens it, and the same in every run over the same log."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.records import Outcome
from detectors.rollback import Savepoint
from detectors.state.target_state import TargetState
from detectors.windows.scales import Scale
from tests.detectors.cases.test_incidents import Target
from tests.detectors.judged_windows import DAY, HOUR, MINUTES, SCALES, START_MS, TICK


@pytest.mark.parametrize("scale", [TICK, MINUTES, HOUR])
def test_a_case_that_begins_where_a_closed_one_began_has_a_flag_and_corrections_of_its_own(scale: Scale) -> None:
    target = Target()
    target.judge(100, scale=scale)
    target.judge(300, number=1, scale=scale)
    target.expire(target.schedule.closings[-1])
    first = {flag.flag_id for flag in target.flags}
    target.judge(200, scale=DAY)
    target.judge(400, number=1, scale=DAY)
    target.expire(target.schedule.closings[-1])
    second = [flag for flag in target.flags if flag.flag_id not in first]
    assert len(first) == 1
    assert len({flag.flag_id for flag in second}) == 1
    assert [(flag.revision, flag.onset) for flag in second] == [(n + 1, START_MS) for n in range(len(second))]
    assert [flag.status for flag in second] == ["opened", "updated", "closed"]
    corrections = [correction.correction_id for correction in target.outcome.corrections]
    assert len(set(corrections)) == len(corrections)


@given(st.lists(st.tuples(st.sampled_from(SCALES), st.integers(0, 3)), min_size=1, max_size=12))
def test_no_two_cases_have_one_flag_id_and_equal_histories_have_equal_ones(history: list[tuple[Scale, int]]) -> None:
    def ids() -> list[str]:
        target, days = Target(), 0
        for scale, number in history:
            days += number == 3
            target.judge(100, number=days * DAY.span_ms // scale.span_ms + (number if scale != DAY else 0), scale=scale)
            target.state = msgspec.convert(msgspec.to_builtins(target.state), TargetState)
            target.expire(target.schedule.closings[-1])
        return [flag.flag_id for flag in target.flags if flag.status == "opened"]

    assert len(set(ids())) == len(history)
    assert ids() == ids()


def test_a_case_that_could_not_be_judged_to_its_end_leaves_no_number() -> None:
    target = Target()
    savepoint = Savepoint(target.state, Outcome())
    target.judge(100)
    savepoint.restore()
    target.judge(100)
    first, again = target.flags
    assert first.flag_id == again.flag_id


def test_onsets_are_forgotten_when_no_window_can_begin_with_them() -> None:
    target = Target()
    for number in range(5):
        target.judge(100, number=number, scale=DAY)
        target.expire(target.schedule.closings[-1])
    assert target.state.case_onsets == [START_MS + 4 * DAY.span_ms]
