"""What a task of the targets does with what fails, what it emits in pieces, and what its metrics and its log show."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP
from structlog.testing import capture_logs

from detectors.closing import tabulate
from detectors.events.event import Event
from detectors.events.key import VIEW, Key, key_of
from detectors.intake.intake import Intake
from detectors.measurement import measuring
from detectors.records import Correction, Flag, Outcome
from streams.clock import FakeClock
from streams.engine.failed_records import Failed, FailureCounts
from streams.engine.outlet import Output
from streams.engine.step_error import StepError
from streams.engine.task import PENDING_MAX
from streams.kafka.transport import Batch
from streams.state import keyed
from streams.state.sealed import META_KEY, meta_of
from streams.state.uncommitted import POSITION_HEADER
from streams.targets import work as targets
from streams.targets.outputs import flag_value
from streams.targets.step import PartitionAudit, audit_settings
from streams.targets.work import Targets
from tests.crowds import DAY_MS, START_MS
from tests.streams.pipeline import Pipeline
from tests.streams.state.test_disk import MARKER, Plant, Record
from tests.streams.state.test_sealed import log_of
from tests.streams.targets.test_work import Samples, samples


class Task(Plant):
    """A task on a log of these values."""

    def __init__(self, directory: Path, values: list[bytes], **options: Any) -> None:
        super().__init__(directory, budget_bytes=1 << 30)
        self.kafka.logs[self.topics.by_target] = [Record(at, None, value) for at, value in enumerate(values)]
        self.options = options

    def open(self) -> Targets:
        tp, reader = TP(self.topics.by_target, 0), self.kafka
        self.task = Targets(self.settings, tp, state=reader, budget=self.budget, clock=FakeClock(), **self.options)  # type: ignore[arg-type]  # it reads as a StateReader does
        self.position = asyncio.run(self.task.restore())
        return self.task

    def taking(self, until: int) -> Iterator[None]:
        """The steps of one batch."""
        task = self.task or self.open()
        records = self.kafka.log(self.topics.by_target)[self.position : until]
        start, self.position = self.position, until
        yield from task.take(Batch(TP(self.topics.by_target, 0), start, records), records)

    def take(self, until: int) -> dict[str, float]:
        """Take one batch; by how much each metric without labels moved."""
        before = samples()
        list(self.taking(until))
        return {
            name: value - before.get((name, labels), 0.0) for (name, labels), value in samples().items() if not labels
        }

    def cut(self) -> list[Output]:
        """The outputs of a checkpoint, which is committed and stored."""
        assert self.task is not None
        outputs = list(self.task.cut(self.position))
        list(self.task.stored(self.kafka.append(outputs)))
        return outputs


@pytest.fixture
def made() -> Iterator[list[Task]]:
    """Tasks that are closed at the end: what they show would be counted by others."""
    tasks: list[Task] = []
    yield tasks
    for task in tasks:
        task.stop()


def moved(before: Samples, name: str, **labels: str) -> float:
    """By how much a metric has moved since."""
    key = f"truecount_{name}", tuple(sorted(labels.items()))
    return samples().get(key, 0.0) - before.get(key, 0.0)


def fault(*_: Any, **__: Any) -> Any:
    """Stands for a method that has a fault."""
    raise RuntimeError("a fault")


def frames(events: list[Event], *, batch: int = 2) -> list[bytes]:
    """A log of these events without an end of time."""
    pipe = Pipeline()
    pipe.play(events, batch=batch)
    return list(pipe.logs[0])


def views(count: int, *, targets: int = 1) -> list[Event]:
    return [Event(ts=START_MS + n, actor=f"a{n}", target=f"v{n % targets}") for n in range(count)]


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


# ---------------------------------------------------------------- restores


class Turns:
    """How many records a restore reads before other tasks get a turn."""

    def __init__(self, kafka: Any) -> None:
        self._records = kafka.records
        self.row, self.longest, self.read = 0, 0, 0

    async def records(self, topic: str, partition: int, **bounds: Any) -> Any:
        """See StateReader."""
        async for record in self._records(topic, partition, **bounds):
            self.row += 1
            self.read += 1
            self.longest = max(self.longest, self.row)
            yield record

    async def others(self) -> None:
        """What else a worker does."""
        while True:
            self.row = 0
            await asyncio.sleep(0)


@pytest.mark.parametrize("partial", [True, False])
def test_without_state_the_log_is_read_from_where_it_is_told_and_counts_say_whether_something_is_before_it(
    partial: bool, tmp_path: Path, made: list[Task]
) -> None:
    log = frames([*views(8), Event(ts=START_MS + DAY_MS, actor="a", target="v0")])
    task = Task(tmp_path, log, start=2, partial=partial)
    made.append(task)
    work = task.open()
    assert (task.position, work.configs) == (2, [(2, task.settings.version())])
    list(task.taking(task.size))
    counts = [json.loads(one.value or b"") for one in task.cut() if one.topic == task.topics.audited_counts]
    assert [(count["raw"], count["incomplete"]) for count in counts] == [(4, partial)]


def test_a_restore_that_reads_much_of_the_log_again_lets_other_tasks_run_and_does_not_wait(
    tmp_path: Path, made: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep, pauses = asyncio.sleep, set[float]()

    async def noted(seconds: float) -> None:
        pauses.add(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    task = Task(tmp_path, frames(views(800), batch=1))
    made.append(task)
    list(task.taking(task.size))
    task.cut()
    task.stop()
    turns = Turns(task.kafka)
    tp: TP = TP(task.topics.by_target, 0)
    reader: Any = turns
    again = Targets(task.settings, tp, state=reader, budget=task.budget, clock=FakeClock())

    async def restored() -> int:
        others = asyncio.create_task(turns.others())
        position = await again.restore()
        others.cancel()
        return position

    assert asyncio.run(restored()) == task.size
    assert turns.read > 500
    assert 30 <= turns.longest <= 60
    assert pauses == {0}
    again.close()


def test_a_record_that_cannot_be_read_again_is_shown_and_logged_at_its_position(
    tmp_path: Path, made: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(tmp_path, frames(views(8)))
    made.append(task)
    list(task.taking(4))
    task.cut()
    task.stop()
    before = samples()
    monkeypatch.setattr(Intake, "replay", fault)
    with capture_logs() as lines, pytest.raises(StepError):
        task.open()
    assert moved(before, "failed_steps_total") == 1
    assert [line["position"] for line in lines if "could not be audited" in line["event"]] == [0]


def test_the_state_has_the_first_configuration_and_the_last_twenty_changes(tmp_path: Path, made: list[Task]) -> None:
    task = Task(tmp_path, frames(views(60), batch=1))
    made.append(task)
    versions = []
    for number in range(24):
        rate = task.settings.rules.rate.model_copy(update={"per_minute": 30 + number})
        rules = task.settings.rules.model_copy(update={"rate": rate})
        task.settings = task.settings.model_copy(update={"rules": rules})
        versions.append(task.settings.version())
        for _ in range(2):  # the same configuration again is no change
            task.open()
            list(task.taking(task.position + 1))
            task.cut()
            task.stop()
    state = [r.value for r in task.kafka.log(task.topics.targets_state) if r is not MARKER and r.key == META_KEY]
    expected = [(2 * number, version) for number, version in enumerate(versions)]
    assert len(set(versions)) == 24
    assert [tuple(one) for one in meta_of(state[-1]).configs] == [expected[0], *expected[-20:]]


def test_a_damaged_state_record_is_shown_and_one_of_the_platform_starts_no_key_again(
    tmp_path: Path, made: list[Task]
) -> None:
    task = Task(tmp_path / "first", list(log_of("duplicates")))
    made.append(task)
    list(task.taking(task.size))
    task.cut()
    task.move_to(tmp_path / "second")
    changelog = task.kafka.log(task.topics.targets_state)
    newest = {record.key: record for record in changelog if record is not MARKER}
    damaged = [newest[key] for key in (b"platform/0", b"w/0v3", b"w/0v4")]
    for record in damaged:
        changelog[record.offset] = Record(record.offset, record.key, record.value[:-1] + b"?")
    before = samples()
    work = task.open()
    assert moved(before, "damaged_state_records_total") == 3
    assert moved(before, "dead_letters_total", reason="damaged_state") == 3
    assert work.pending() == 3
    states = work.audit.audit.target_states
    assert {name for name in ("v3", "v4", "v5") if states[key_of(VIEW, name)].incomplete} == {"v3", "v4"}
    assert states.peek(Key("atform/0")) is None, "that is no target"


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
