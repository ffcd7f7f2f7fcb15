"""Rule bursts do not depend on restarts, nor on how the input is cut into batches."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.audit import AuditSettings
from detectors.cases.statuses import CLOSED, OPENED
from detectors.events.event import Event
from detectors.records import Flag, Outcome
from detectors.state.removals import RULE
from streams.targets.changelog import dump_changes, load
from streams.targets.step import PartitionAudit
from tests.crowds import MINUTE_MS, START_MS, in_order, ordinary
from tests.robots import robots, with_usual
from tests.states import states_of
from tests.streams.pipeline import Pipeline, audit_of, said

BURST_MS = START_MS + 82 * MINUTE_MS
END_MS = START_MS + 150 * MINUTE_MS


@cache
def events() -> list[Event]:
    """Honest traffic with its robots and double clicks, and two bursts of robots that overlap."""
    background = with_usual(ordinary(1, minutes=112, targets=8), 2)
    visits = [robots(n, f"v{n}", begin=BURST_MS + n * 3 * MINUTE_MS, count=300, minutes=9) for n in (1, 2)]
    found = in_order(background, *visits)
    for event in found:
        event.metric = "view"
    return found


@cache
def log_of(batch: int = 20) -> list[bytes]:
    pipe = Pipeline()
    pipe.play(events(), batch=batch)
    pipe.finish(END_MS)
    return pipe.logs[0]


def _rule_flags(outcome: Outcome) -> list[Flag]:
    flags = [flag for flag in outcome.flags if flag.verdict == RULE]
    for flag in flags:
        flag.log = {}  # positions in the log are those of its batches
    return flags


def _apply(audit: PartitionAudit, log: list[bytes], start: int, end: int) -> list[bytes]:
    outcome = Outcome()
    for offset in range(start, end):
        audit.apply(log[offset], offset, outcome)
    return said(outcome)


def _restored(saved: dict[bytes, bytes], log: list[bytes], position: int) -> PartitionAudit:
    audit = PartitionAudit(AuditSettings())
    restored = load(audit, saved)
    assert restored is not None
    for offset in range(restored.replay_from, position):
        audit.replay(log[offset], offset)
    return audit


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_restart_in_the_middle_of_a_burst_changes_nothing(data: st.DataObject) -> None:
    log = log_of()
    first = next(n for n, event in enumerate(events()) if event.ts >= BURST_MS) // 20
    stops = sorted(data.draw(st.sets(st.integers(first, len(log) - 1), min_size=1, max_size=8)))
    whole, audit, saved = PartitionAudit(AuditSettings()), PartitionAudit(AuditSettings()), dict[bytes, bytes]()
    at = 0
    for stop in [*stops, len(log)]:
        assert _apply(audit, log, at, stop) == _apply(whole, log, at, stop)
        saved |= dict(dump_changes(audit, stop))
        assert audit.dump(stop) == whole.dump(stop)
        audit = _restored(saved, log, stop)
        at = stop
    assert states_of(audit.audit) == states_of(whole.audit)


def test_the_log_has_two_bursts() -> None:
    flags = _rule_flags(audit_of(log_of())[1])
    assert [flag.target for flag in flags if flag.status == OPENED] == ["v1", "v2"]
    assert {flag.target: flag.observed for flag in flags if flag.status == CLOSED} == {
        target: pytest.approx(300, abs=6) for target in ("v1", "v2")
    }


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(5, 900))
def test_how_the_input_is_cut_changes_no_flag(batch: int) -> None:
    assert _rule_flags(audit_of(log_of(batch))[1]) == _rule_flags(audit_of(log_of())[1])
