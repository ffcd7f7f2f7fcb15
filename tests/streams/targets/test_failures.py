"""What a task of the targets does with what fails, what it emits in pieces, and what its metrics and its log show."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from detectors.closing import tabulate
from detectors.events.event import Event
from detectors.intake.intake import Intake
from detectors.measurement import measuring
from detectors.records import Correction, Flag, Outcome
from streams.engine.failed_records import Failed, FailureCounts
from streams.engine.step_error import StepError
from streams.engine.task import PENDING_MAX
from streams.state import keyed
from streams.state.uncommitted import POSITION_HEADER
from streams.targets import work as targets
from streams.targets.outputs import flag_value
from streams.targets.step import PartitionAudit, audit_settings
from tests.crowds import DAY_MS, START_MS
from tests.streams.pipeline import Pipeline
from tests.streams.state.test_sealed import log_of
from tests.streams.targets.tasks import Task, fault, frames, moved, views
from tests.streams.targets.test_work import samples

# ---------------------------------------------------------------- what is passed over


def test_each_batch_adds_what_it_passed_over_and_no_more(tmp_path: Path, made: list[Task]) -> None:
    log = frames(views(6))
    task = Task(tmp_path, [log[0], b"\xc1", b"", log[0], log[0], log[1], b"x", log[2]])
    made.append(task)
    names = ("truecount_broken_frames_total", "truecount_redelivered_events_total", "truecount_unjudged_steps_total")
    batches = [task.take(until) for until in (4, 6, 7, 8)]
    assert [[batch[name] for name in names] for batch in batches] == [[2, 2, 0], [0, 2, 0], [1, 0, 0], [0, 0, 0]]


def test_records_that_an_earlier_audit_only_counted_are_only_counted_and_shown_by_batch(
    tmp_path: Path, made: list[Task]
) -> None:
    task = Task(tmp_path, frames(views(12)), unjudged=[(1, 2), (4, 4)])
    made.append(task)
    assert [task.take(until)["truecount_unjudged_steps_total"] for until in (2, 3, 4, 6)] == [1, 1, 0, 1]


def test_a_record_that_is_no_frame_is_a_dead_letter_of_its_own_position_before_what_follows(
    tmp_path: Path, made: list[Task]
) -> None:
    log = frames(views(4))
    task = Task(tmp_path, [log[0], b"no frame", log[1]])
    made.append(task)
    before = samples()
    with capture_logs() as lines:
        list(task.taking(3))
    assert moved(before, "dead_letters_total", reason="uncountable") == 1
    assert [(line["partition"], line["position"]) for line in lines if line["log_level"] == "error"] == [(0, 1)]
    (letter,) = (output for output in task.cut() if output.topic == task.topics.dead_letters)
    assert letter.value == b"no frame"
    assert dict(letter.headers or ())["offset"] == b"1"


# ---------------------------------------------------------------- what fails


def test_failures_of_detection_are_shown_by_part_and_logged_at_the_record_that_closed_the_window(
    tmp_path: Path, made: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = list(log_of("duplicates"))
    task = Task(tmp_path, log)
    made.append(task)
    for module in (tabulate, measuring):
        monkeypatch.setattr(module, "measure", fault)
    audit, failed_at, failed = PartitionAudit(audit_settings(task.settings, 0)), [], Counter[str]()
    for offset, value in enumerate(log):
        outcome = Outcome()
        audit.apply(value, offset, outcome)
        failed_at += [offset] * bool(outcome.failures)
        failed.update(outcome.failures)
    before = samples()
    with capture_logs() as lines:
        list(task.taking(len(log)))
    assert failed_at
    assert failed_at[0] < len(log) - 1
    logged = [line["position"] for line in lines if line["event"].startswith("detection failed")]
    assert logged[0] == failed_at[0]
    assert set(logged) <= set(failed_at)
    assert {part: moved(before, "unjudged_windows_total", part=part) for part in failed} == failed
    assert moved(before, "unjudged_windows_total", part="output") == 0


def test_an_output_that_cannot_be_encoded_is_shown_and_costs_no_other(
    tmp_path: Path, made: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    def encoded(flag: Flag) -> bytes:
        if flag.status == "opened":
            raise ValueError("not this one")
        return flag_value(flag)

    def fails(correction: Correction) -> bytes:
        raise TypeError(f"not {correction.target}")

    plain = Task(tmp_path / "plain", list(log_of("duplicates")))
    made.append(plain)
    list(plain.taking(plain.size))
    expected = [output for output in plain.cut() if output.topic != plain.topics.targets_state]
    spared = [
        output
        for output in expected
        if output.topic != plain.topics.corrections and b'"status":"opened"' not in (output.value or b"")
    ]
    monkeypatch.setattr(targets, "flag_value", encoded)
    monkeypatch.setattr(targets, "correction_value", fails)
    task = Task(tmp_path / "failing", list(log_of("duplicates")))
    made.append(task)
    before = samples()
    with capture_logs():
        list(task.taking(task.size))
    outputs = [output for output in task.cut() if output.topic != task.topics.targets_state]
    assert outputs == spared != expected
    assert moved(before, "unjudged_windows_total", part="output") == len(expected) - len(spared)


def test_a_failure_of_the_machine_while_an_output_is_encoded_ends_the_task(
    tmp_path: Path, made: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Flag) -> bytes:
        raise MemoryError

    monkeypatch.setattr(targets, "flag_value", full)
    task = Task(tmp_path, list(log_of("duplicates")))
    made.append(task)
    with pytest.raises(MemoryError):
        list(task.taking(task.size))


def test_a_record_that_cannot_be_audited_is_shown_and_logged_with_how_often_it_has_failed(
    tmp_path: Path, made: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = frames(views(6))
    failed: Failed = {0: FailureCounts(1, 0)}
    task = Task(tmp_path, log, failed=failed)
    made.append(task)
    before = samples()
    monkeypatch.setattr(Intake, "count", fault)
    with capture_logs() as lines, pytest.raises(StepError):
        list(task.taking(3))
    assert moved(before, "failed_steps_total") == 1
    (line,) = (line for line in lines if "could not be audited" in line["event"])
    assert (line["partition"], line["position"], line["failures"]) == (0, 0, 2)
    assert failed == {0: FailureCounts(2, 0)}


def test_failures_are_forgotten_when_their_records_are_part_of_the_stored_state(
    tmp_path: Path, made: list[Task]
) -> None:
    failed: Failed = {at: FailureCounts(0, 1) for at in (0, 2, 3, 4)}
    task = Task(tmp_path, frames(views(12)), failed=failed)
    made.append(task)
    list(task.taking(3))
    assert set(failed) == {0, 2, 3, 4}
    task.cut()
    assert set(failed) == {3, 4}


# ---------------------------------------------------------------- what is emitted


def test_many_counts_of_one_step_are_encoded_in_pieces_while_it_goes_on(tmp_path: Path, made: list[Task]) -> None:
    pipe = Pipeline()
    pipe.play(views(1_800, targets=1_800), batch=600)
    pipe.finish(START_MS + DAY_MS)
    task = Task(tmp_path, pipe.logs[0])
    made.append(task)
    before = samples()
    opened = task.open()
    pending = [opened.pending() for _ in task.taking(task.size)]
    assert any(0 < count < 1_800 for count in pending), "some are encoded before all are known"
    assert max(after - before for before, after in pairwise([0, *pending, opened.pending()])) <= 1_200
    counts = [output for output in task.cut() if output.topic == task.topics.audited_counts]
    assert sorted(output.key or b"" for output in counts) == sorted(b"v%d|view" % n for n in range(1_800))
    assert moved(before, "events_total", metric="view") == 1_800


def test_metrics_are_the_same_when_outputs_are_made_in_pieces(
    tmp_path: Path, made: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for name, at_once in (("whole", 1 << 30), ("pieces", 1)):
        monkeypatch.setattr(targets, "COUNTS_AT_ONCE", at_once)
        task = Task(tmp_path / name, list(log_of("late and undone")))
        made.append(task)
        before = samples()
        list(task.taking(task.size))
        after = samples()
        seen.append(
            (
                {
                    (name, labels): value - before.get((name, labels), 0.0)
                    for (name, labels), value in after.items()
                    if name.startswith("truecount_") and name.endswith("_total")
                    if value != before.get((name, labels), 0.0)
                },
                [output for output in task.cut() if output.topic != task.topics.targets_state],
            )
        )
    assert seen[0][0] == seen[1][0]
    assert sorted(map(repr, seen[0][1])) == sorted(map(repr, seen[1][1]))


def test_flags_are_urgent_until_they_are_in_a_checkpoint_and_counts_are_not(tmp_path: Path, made: list[Task]) -> None:
    task = Task(tmp_path, list(log_of("duplicates")))
    made.append(task)
    work, urgent = task.open(), 0
    for until in range(10, task.size + 1, 10):
        list(task.taking(until))
        flagged = work.urgent()
        outputs = task.cut()
        assert flagged == any(output.topic == task.topics.flagged_events for output in outputs)
        assert not work.urgent()
        urgent += flagged
    assert 0 < urgent < task.size // 10


def test_a_checkpoint_is_due_when_many_keys_have_changed_however_few_the_outputs(
    tmp_path: Path, made: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed, "CHANGED_MAX", 40)
    monkeypatch.setattr(keyed, "HOT_KEYS_MIN", 2)
    task = Task(tmp_path, frames([*views(80, targets=80), Event(ts=START_MS + DAY_MS, actor="a", target="v0")]))
    task.budget.bytes = 1
    made.append(task)
    work = task.open()
    list(task.taking(task.size))
    assert work.pending() > PENDING_MAX
    task.cut()
    assert work.pending() == 0


def test_an_output_that_waits_takes_about_its_size_of_the_memory_for_keys(tmp_path: Path, made: list[Task]) -> None:
    pipe = Pipeline()
    pipe.play(views(900, targets=900), batch=300)
    pipe.finish(START_MS + DAY_MS)
    task = Task(tmp_path, pipe.logs[0])
    made.append(task)
    work = task.open()
    list(task.taking(task.size))
    outputs = [output for output in work.cut(task.position) if output.topic == task.topics.audited_counts]
    size = sum(sys.getsizeof(part) for output in outputs for part in (output, output.key, output.value))
    taken = work._states.other_bytes - work.audit.memory_bytes()
    assert size <= taken <= 2 * size


@pytest.mark.parametrize(("processing", "marked"), [("exactly_once", False), ("at_least_once", True)])
def test_without_transactions_a_state_record_has_the_position_of_its_checkpoint(
    processing: str, marked: bool, tmp_path: Path, made: list[Task]
) -> None:
    task = Task(tmp_path, frames([*views(8), Event(ts=START_MS + DAY_MS, actor="a", target="v0")]))
    task.settings = task.settings.model_copy(update={"processing": processing})
    made.append(task)
    list(task.taking(task.size))
    state = [output for output in task.cut() if output.topic == task.topics.targets_state]
    assert len(state) > 1
    assert [output.headers for output in state] == [[(POSITION_HEADER, b"%d" % task.size)] if marked else None] * len(
        state
    )


# ---------------------------------------------------------------- gauges of a partition


def test_a_partition_shows_no_time_before_it_has_one_and_none_after_it_is_closed(
    tmp_path: Path, made: list[Task]
) -> None:
    labels = (("partition", "0"),)
    shown = [(f"truecount_{name}", labels) for name in ("event_time_seconds", "views_told_at_once")]
    task = Task(tmp_path, frames(views(4)))
    made.append(task)
    work = task.open()
    work.heartbeat(0, at_end=True)
    assert not samples().keys() & set(shown)
    list(task.taking(task.size))
    work.heartbeat(0, at_end=True)
    assert work.audit.now_ms >= 0
    task.stop()
    assert not samples().keys() & set(shown)
