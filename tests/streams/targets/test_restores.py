"""What a task restores after failures and incomplete checkpoints."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP
from structlog.testing import capture_logs

from detectors.events.event import Event
from detectors.events.key import VIEW, Key, key_of
from detectors.intake.intake import Intake
from streams.clock import FakeClock
from streams.engine.step_error import StepError
from streams.state.sealed import META_KEY, meta_of
from streams.targets.work import Targets
from tests.crowds import DAY_MS, START_MS
from tests.streams.state.test_disk import MARKER, Record
from tests.streams.state.test_sealed import log_of
from tests.streams.targets.tasks import Task, fault, frames, moved, views
from tests.streams.targets.test_work import samples


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
