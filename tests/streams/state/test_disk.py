"""A task whose state is mostly on disk, or whose disk is damaged, old or full, says exactly what one in memory says."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from faust.types import TP

from detectors import pending_counts, tick_entry
from detectors.closing import closing
from detectors.measurement import early_windows
from detectors.state.parts import PLATFORM, TARGET_STATES
from detectors.state.target_state import TargetState
from streams.clock import FakeClock
from streams.engine.outlet import Output
from streams.kafka.topics import Topics
from streams.kafka.transport import Batch
from streams.settings.settings import Settings, State
from streams.state import keyed, spill
from streams.state.keyed import Budget
from streams.state.sealed import META_KEY, decode_target
from streams.state.store import Store, StoreError
from streams.targets import work as targets
from streams.targets.work import Targets
from tests.streams.state.test_sealed import log_of

MARKER = object()
"""What stands in a log where a transaction ended: it has an offset, and nobody sees it."""


class Record(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Kafka:
    """Logs in memory, read as StateReader reads them."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Any]] = {}
        self.read_records = 0

    def log(self, topic: str) -> list[Any]:
        return self.logs.setdefault(topic, [])

    def append(self, outputs: Iterable[Output]) -> dict[tuple[str, int], int]:
        """A transaction's outputs; answers where each topic stands behind them."""
        delivered: dict[tuple[str, int], int] = {}
        for output in outputs:
            log = self.log(output.topic)
            log.append(Record(len(log), output.key, output.value, tuple(output.headers or ())))
            delivered[output.topic, output.partition] = len(log)
        for topic in {output.topic for output in outputs}:
            self.log(topic).append(MARKER)
        return delivered

    def compact(self, topic: str) -> None:
        """Keep the newest record of each key."""
        log = self.log(topic)
        newest = {record.key: record.offset for record in log if record is not MARKER}
        for offset, record in enumerate(log):
            if record is not MARKER and newest[record.key] != offset:
                log[offset] = MARKER

    async def records(
        self, topic: str, partition: int, *, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[Record]:
        """See StateReader."""
        log = self.log(topic)
        for record in log[start or 0 : len(log) if end is None else end]:
            if record is not MARKER:
                self.read_records += 1
                yield record


class Plant:
    """One partition's task on a log that stands in memory, and a directory."""

    def __init__(self, directory: Path, kind: str = "duplicates", budget_bytes: int = 1) -> None:
        self.settings = Settings(partitions=1, state=State(directory=directory, dedupe_ids=400))
        self.topics = Topics.of(self.settings)
        self.kafka = Kafka()
        frames = log_of(kind)
        self.kafka.logs[self.topics.by_target] = [Record(at, None, value) for at, value in enumerate(frames)]
        self.budget = Budget(budget_bytes)
        self.task: Targets | None = None
        self.position = 0

    @property
    def size(self) -> int:
        """Records of the log."""
        return len(self.kafka.log(self.topics.by_target))

    def move_to(self, directory: Path) -> None:
        """The next owner has another disk."""
        self.stop()
        state = self.settings.state.model_copy(update={"directory": directory})
        self.settings = self.settings.model_copy(update={"state": state})

    def open(self) -> Targets:
        """A new owner of the partition."""
        tp = TP(self.topics.by_target, 0)
        reader: Any = self.kafka
        self.task = Targets(self.settings, tp, state=reader, budget=self.budget, clock=FakeClock())
        self.position = asyncio.run(self.task.restore())
        return self.task

    def work(self, until: int, *, every: int = 7) -> None:
        """Take the log up to ``until``, with a checkpoint every so many records and at the end."""
        task = self.task or self.open()
        log = self.kafka.log(self.topics.by_target)
        while self.position < until:
            records = log[self.position : min(until, self.position + every)]
            list(task.take(Batch(TP(self.topics.by_target, 0), self.position, records), records))
            self.position = records[-1].offset + 1
            list(task.stored(self.kafka.append(task.cut(self.position))))

    def work_in_steps(self, until: int, rng: random.Random, *, break_off: float) -> None:
        """As ``work``, in steps: what a checkpoint changed is stored while the next records are taken.

        At one step in ``1 / break_off`` the owner goes, whatever is half done.
        """
        self.open()
        storing: Iterator[None] = iter(())
        while self.position < until:
            task, log = self.task or self.open(), self.kafka.log(self.topics.by_target)
            records = log[self.position : min(until, self.position + rng.randint(1, 60))]
            taking = task.take(Batch(TP(self.topics.by_target, 0), self.position, records), records)
            for _ in taking:
                while rng.random() < 0.5 and next(storing, self) is None:
                    pass
                if rng.random() < break_off:
                    self.stop()
                    break
            else:
                list(storing)
                self.position = records[-1].offset + 1
                storing = task.stored(self.kafka.append(task.cut(self.position)))
                continue
            taking.close()  # type: ignore[attr-defined]  # a generator's
            storing = iter(())
        list(storing)

    def keyed_state(self) -> dict[bytes, TargetState]:
        """What the newest record of each key says."""
        log = self.kafka.log(self.topics.targets_state)
        newest = {record.key: record.value for record in log if record is not MARKER}
        return {key: decode_target(value) for key, value in newest.items() if key.startswith(TARGET_STATES.prefix)}

    def stop(self) -> None:
        """The owner goes, in order or not: what was not checkpointed is lost."""
        if self.task is not None:
            self.task.close()
            self.task = None

    def said(self) -> list[bytes | None]:
        """All flags, corrections and counts."""
        topics = (self.topics.flagged_events, self.topics.corrections, self.topics.audited_counts)
        return [record.value for topic in topics for record in self.kafka.log(topic) if record is not MARKER]

    @property
    def store(self) -> Path:
        """Where its store is."""
        return self.settings.state.directory / self.settings.app / f"{self.topics.targets_state}-0"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[bytes | None]:
    plant = Plant(tmp_path_factory.mktemp("undisturbed"), budget_bytes=1 << 30)
    plant.work(plant.size)
    plant.stop()
    assert any(value and b'"opened"' in value for value in plant.said())
    return plant.said()


@pytest.fixture
def few_hot_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two keys are hot, and two are changed at once."""
    monkeypatch.setattr(keyed, "HOT_KEYS_MIN", 2)
    monkeypatch.setattr(tick_entry, "STEP_KEYS", 2)
    monkeypatch.setattr(pending_counts, "STEP_COUNTS", 2)
    monkeypatch.setattr(closing, "CHANGED_AT_ONCE", 2)
    monkeypatch.setattr(early_windows, "TOGETHER", 2)


@pytest.mark.usefixtures("few_hot_keys")
def test_a_task_with_hardly_any_memory_says_the_same(tmp_path: Path, undisturbed: list[bytes | None]) -> None:
    plant = Plant(tmp_path)
    plant.work(plant.size // 2)
    task = plant.task
    assert task is not None
    assert task._states.hot_keys() < len(keys_of(plant)), "keys must have cooled"
    plant.work(plant.size)
    plant.stop()
    assert plant.said() == undisturbed


@pytest.mark.usefixtures("few_hot_keys")
@pytest.mark.parametrize("break_off", [0.0, 0.0005])
def test_what_is_done_in_steps_or_broken_off_between_them_is_what_is_done_at_once(
    tmp_path: Path, undisturbed: list[bytes | None], break_off: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tick_entry, "STEP_KEYS", 1)
    monkeypatch.setattr(closing, "CHANGED_AT_ONCE", 1)
    monkeypatch.setattr(closing, "STEP_WINDOWS", 1)
    monkeypatch.setattr(pending_counts, "STEP_COUNTS", 1)
    monkeypatch.setattr(spill, "PROMOTED_AT_ONCE", 1)
    monkeypatch.setattr(targets, "COUNTS_AT_ONCE", 3)
    plant = Plant(tmp_path / "steps")
    plant.work_in_steps(plant.size, random.Random(4), break_off=break_off)
    plant.stop()
    assert plant.said() == undisturbed
    at_once = Plant(tmp_path / "at once", budget_bytes=1 << 30)
    at_once.work(at_once.size, every=1000)
    assert plant.keyed_state() == at_once.keyed_state()


@pytest.mark.usefixtures("few_hot_keys")
def test_a_task_that_stops_often_goes_on_from_its_disk(tmp_path: Path, undisturbed: list[bytes | None]) -> None:
    plant, rng = Plant(tmp_path), random.Random(1)
    for stop in sorted(rng.sample(range(plant.size), 12)):
        plant.work(stop)
        plant.stop()
    plant.work(plant.size)
    plant.stop()
    assert plant.said() == undisturbed


def test_a_restart_on_the_same_disk_reads_only_the_tail_of_the_changelog(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.work(plant.size // 2)
    plant.stop()
    written = len(plant.kafka.log(plant.topics.targets_state))
    task = plant.open()
    assert task._disk.tail <= 2 < written
    plant.stop()


def test_what_another_owner_has_done_meanwhile_is_read_from_the_changelog(
    tmp_path: Path, undisturbed: list[bytes | None]
) -> None:
    plant = Plant(tmp_path / "mine")
    plant.work(plant.size // 4)
    plant.move_to(tmp_path / "hers")
    plant.work(plant.size // 2)
    plant.kafka.compact(plant.topics.targets_state)
    plant.move_to(tmp_path / "mine")
    plant.work(plant.size)
    plant.stop()
    assert plant.said() == undisturbed


def test_a_store_of_a_changelog_that_was_made_anew_is_not_believed(
    tmp_path: Path, undisturbed: list[bytes | None]
) -> None:
    old = Plant(tmp_path)
    old.work(old.size // 2)
    old.stop()
    anew = Plant(tmp_path)
    anew.work(anew.size // 3)
    anew.move_to(tmp_path / "elsewhere")
    anew.work(anew.size - 20)
    anew.move_to(tmp_path)
    anew.work(anew.size)
    anew.stop()
    assert anew.said() == undisturbed


def spoil_manifest(store: Path) -> None:
    for file in store.glob("MANIFEST-*"):
        file.write_bytes(b"nothing of sense")


def spoil_tables(store: Path) -> None:
    for file in [*store.glob("*.sst"), *store.glob("*.log")]:
        data = bytearray(file.read_bytes())
        data[len(data) // 3 : 2 * len(data) // 3] = os.urandom(len(data) // 3)
        file.write_bytes(data)


def cut_log(store: Path) -> None:
    for file in store.glob("*.log"):
        os.truncate(file, file.stat().st_size // 2)


def remove_some(store: Path) -> None:
    for file in store.glob("*.sst"):
        file.unlink()
    (store / "CURRENT").unlink()


@pytest.mark.parametrize("spoil", [spoil_manifest, spoil_tables, cut_log, remove_some, shutil.rmtree])
def test_a_damaged_or_lost_disk_is_made_anew_from_the_changelog(
    spoil: Callable[[Path], None], tmp_path: Path, undisturbed: list[bytes | None]
) -> None:
    plant = Plant(tmp_path)
    plant.work(plant.size // 2)
    plant.stop()
    reopened = Store(plant.store, f"{plant.settings.app}/{plant.topics.targets_state}/0")  # so that tables are written
    reopened._db.flush()
    reopened.close()
    spoil(plant.store)
    for _ in range(3):  # damage in a table shows when it is read: the task then starts again
        try:
            plant.work(plant.size)
            break
        except StoreError:
            plant.stop()
    plant.stop()
    assert set(plant.said()) == set(undisturbed)
    assert plant.said() == undisturbed


@pytest.mark.usefixtures("few_hot_keys")
def test_a_disk_that_refuses_to_be_written_costs_a_restart_and_no_count(
    tmp_path: Path, undisturbed: list[bytes | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = Plant(tmp_path)
    plant.work(plant.size // 2)
    with monkeypatch.context() as full:

        def refuse(self: Store, *_: Any, **__: Any) -> None:
            raise self._failure(OSError("No space left on device"))

        full.setattr(Store, "write", refuse)
        full.setattr(Store, "_try_to_write", refuse)
        with pytest.raises(StoreError, match="No space left"):
            plant.work(plant.size)
        plant.stop()
        plant.work(plant.size - 30)
        assert plant.task is not None
        assert plant.task._disk.store is None
    plant.stop()
    plant.work(plant.size)
    plant.stop()
    assert plant.said() == undisturbed


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_damaged_changelog_record_is_put_aside_and_its_count_says_so(tmp_path: Path, on_disk: bool) -> None:
    plant = Plant(tmp_path)
    plant.work(plant.size // 2)
    plant.stop()
    changelog = plant.kafka.log(plant.topics.targets_state)
    place = max(r.offset for r in changelog if r is not MARKER and r.key.startswith(TARGET_STATES.prefix))
    damaged = changelog[place]
    changelog[place] = Record(place, damaged.key, damaged.value[:-3] + b"???")
    shutil.rmtree(plant.store)
    if not on_disk:
        plant.store.parent.mkdir(exist_ok=True)
        plant.store.write_text("a file where a directory should be")
        plant.store.parent.chmod(0o755)

    plant.open()
    plant.work(plant.size)
    plant.stop()

    letters = [r for r in plant.kafka.log(plant.topics.dead_letters) if r is not MARKER]
    assert [letter.value for letter in letters] == [changelog[place].value]
    incomplete = {value for value in plant.said() if value and b'"incomplete":true' in value}
    target = damaged.key.decode().removeprefix("w/0")
    assert incomplete
    assert all(f'"target":"{target}"'.encode() in value for value in incomplete)
    plant.open()
    assert len([r for r in plant.kafka.log(plant.topics.dead_letters) if r is not MARKER]) == 1, "told once"
    plant.stop()


def keys_of(plant: Plant) -> set[bytes]:
    records = plant.kafka.log(plant.topics.targets_state)
    keys = {record.key for record in records if record is not MARKER}
    return {key for key in keys if key != META_KEY and not key.startswith(PLATFORM.prefix)}
