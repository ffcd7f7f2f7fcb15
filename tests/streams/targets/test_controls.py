"""Control frames in by-target: each takes effect once, at its position, whatever comes between."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.audit import Audit, AuditSettings
from detectors.controls import Answered, Asked, Control, Followed, Removed
from detectors.records import Outcome
from streams.engine.failed_records import Failed
from streams.engine.step_error import StepError
from streams.log.controls import ControlSender, decode_controls, to_actors
from streams.log.hashing import actor_hash, actor_partition
from streams.targets.changelog import dump_changes, load
from streams.targets.step import PartitionAudit
from tests.crowds import MINUTE_MS, START_MS, ordinary
from tests.streams.pipeline import Pipeline

FOLLOWED = Followed(1, "v", 2, 3, 4, 5)
ACTORS = [actor_hash(f"a{n}") for n in range(9)]


class Controls(list[tuple[Control, int, int]]):
    """What an audit was given: record, position, and its event time then."""


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Controls:
    """Records what the audit is given."""
    found = Controls()

    def control(audit: Audit, record: Any, position: int, outcome: Outcome) -> None:
        found.append((record, position, audit.now))
        outcome.requests.append(Removed(audit.now, f"case {position}", "0v", 0.5, ACTORS))

    monkeypatch.setattr(Audit, "control", control)
    return found


def log_with_controls() -> list[bytes]:
    """Half an hour of events, with a control frame after every ten records."""
    pipe = Pipeline()
    pipe.play(ordinary(1, minutes=30, targets=5), batch=4)
    pipe.finish(START_MS + 60 * MINUTE_MS)
    sender, log = ControlSender("actors/1"), []
    for place, value in enumerate(pipe.logs[0]):
        log.append(value)
        if place % 10 == 9:
            log += [frame for _, frame in sender.frames([(0, FOLLOWED)], position=place, now_ms=START_MS)]
    return log


def test_a_control_frame_takes_effect_at_its_position_and_event_time_does_not_wait_for_it(given: Controls) -> None:
    log = log_with_controls()
    audit, outcome = PartitionAudit(AuditSettings()), Outcome()
    times = []
    for position, value in enumerate(log):
        audit.apply(value, position, outcome)
        times.append(audit.now_ms)
    without = [value for value in log if not value.startswith(b"\x94")]
    assert len(given) == len(log) - len(without) > 10
    assert [now for _, position, now in given] == [times[position - 1] for _, position, _ in given]
    alone, plain = PartitionAudit(AuditSettings()), Outcome()
    for position, value in enumerate(without):
        alone.apply(value, position, plain)
    assert alone.now_ms == audit.now_ms
    assert [count.raw for count in plain.counts] == [count.raw for count in outcome.counts]


def test_a_control_frame_that_comes_again_is_skipped_also_after_a_restore(given: Controls) -> None:
    log = log_with_controls()
    controls = [value for value in log if value.startswith(b"\x94")]
    audit = PartitionAudit(AuditSettings())
    for position, value in enumerate([*log, controls[-1]]):
        audit.apply(value, position, Outcome())
    before = len(given)
    assert before == len(controls)
    restored = PartitionAudit(AuditSettings())
    found = load(restored, dict(dump_changes(audit, len(log) + 1)))
    assert found is not None
    for position in range(found.replay_from, len(log)):
        restored.replay(log[position], position)
    assert len(given) == before, "what it changed is in the stored state"
    restored.apply(controls[-1], len(log) + 1, Outcome())
    assert len(given) == before
    assert restored.skipped == 1


def test_what_a_record_requests_goes_to_the_partitions_of_its_actors(given: Controls) -> None:
    log = log_with_controls()
    audit, frames = PartitionAudit(AuditSettings(partition=3)), []
    for position, value in enumerate(log):
        outcome = Outcome()
        audit.apply(value, position, outcome)
        assert audit.requests_of(Outcome(), position, 4) == []
        frames += audit.requests_of(outcome, position, 4)
        assert not outcome.requests
    per_record = len({actor_partition(actor, 4) for actor in ACTORS})
    assert len(frames) == per_record * len(given)
    for place, value in frames:
        frame = decode_controls(value)
        assert frame.source == "targets/3"
        for record in to_actors(frame):
            assert isinstance(record, Removed)
            assert {actor_partition(actor, 4) for actor in record.actors} == {place}
    assert audit.requests_of(Outcome(requests=[Asked("c", "0v", 3, -1, 1, 2, 3, ACTORS)]), 9, 0) == []


def test_a_control_record_that_raises_is_skipped_the_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def control(_audit: Audit, record: Any, _position: int, _outcome: Outcome) -> None:
        if isinstance(record, Answered):
            raise ValueError("a fault")

    monkeypatch.setattr(Audit, "control", control)
    log = log_with_controls()
    answer = Answered(1, "case", "0v", 1, 2, 3, 4, 5)
    ((_, bad),) = ControlSender("actors/0").frames([(0, answer)], position=1, now_ms=START_MS)
    log.insert(15, bad)
    failed: Failed = {}
    with pytest.raises(StepError, match="a fault"):
        _apply(log, failed)
    audit = _apply(log, failed)
    assert audit.unjudged.ranges() == [(15, 15)]
    rebuilt = PartitionAudit(AuditSettings())
    rebuilt.unjudged.add(15)
    for position, value in enumerate(log):
        rebuilt.apply(value, position, Outcome())


def _apply(log: list[bytes], failed: Failed) -> PartitionAudit:
    audit = PartitionAudit(AuditSettings(), failed=failed)
    for position, value in enumerate(log):
        audit.apply(value, position, Outcome())
    return audit


def test_bytes_that_only_begin_as_a_control_frame_become_a_dead_letter() -> None:
    audit, outcome = PartitionAudit(AuditSettings()), Outcome()
    audit.apply(b"\x94\x40rubbish", 4, outcome)
    assert audit.broken == 1
    assert [one.position for one in outcome.uncounted] == [4]
