"""The store of a task's disk, record by record: what is read from where, and what is done when the disk fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError
from structlog.testing import capture_logs

from detectors.state.parts import AUDIT_KINDS, TARGET_STATES
from detectors.state.target_state import STATE_VERSION, TargetState
from streams.deadletters import Why
from streams.metrics import REGISTRY
from streams.settings.settings import Settings, State
from streams.state import disk
from streams.state.disk import StateOnDisk
from streams.state.sealed import META_KEY, Meta, MovedError, StateError, encode, encode_meta, encode_target, seal
from streams.state.store import Stamp, Store, StoreError
from streams.state.uncommitted import POSITION_HEADER
from tests.streams.state.test_disk import Record

TOPIC = "targets-state"
PLATFORM = b"platform/0"


class Changelog:
    """A changelog of one partition in memory. After ``broken_after`` records the broker is gone."""

    def __init__(self) -> None:
        self.log: list[Record] = []
        self.broken_after: int | None = None
        self.row, self.longest = 0, 0
        """records that were read before other tasks had a turn, and the most of them"""

    def add(self, key: bytes | None, value: bytes | None, *, position: bytes | None = None) -> int:
        """Append a record; answers its offset. ``position`` is that of a checkpoint without a transaction."""
        headers = () if position is None else (("trace", b"?"), (POSITION_HEADER, position))
        self.log.append(Record(len(self.log), key, value, headers))
        return len(self.log) - 1

    def add_meta(self, position: int = 1, *, born: str = "b", marked: bool = False, moved_to: str = "") -> int:
        """Append the last record of a checkpoint."""
        meta = Meta(STATE_VERSION, position, {}, born, [[position]], [(position, "c")], moved_to)
        return self.add(META_KEY, encode_meta(meta), position=b"%d" % position if marked else None)

    async def records(self, topic: str, partition: int, *, start: int | None = None) -> AsyncIterator[Record]:
        """See StateReader."""
        assert (topic, partition) == (TOPIC, 3)
        for number, record in enumerate(self.log[start or 0 :]):
            if number == self.broken_after:
                raise KafkaConnectionError
            self.row += 1
            self.longest = max(self.longest, self.row)
            yield record

    async def others(self) -> None:
        """What else a worker does."""
        while True:
            self.row = 0
            await asyncio.sleep(0)


def target(events: int) -> bytes:
    """The record of a target with this count."""
    state = TargetState()
    state.ledger.accept(events)
    return encode_target(state)


def platform(number: int) -> bytes:
    """A record of a part that is in memory."""
    return seal(encode({"number": number}))


def key(name: str) -> bytes:
    return TARGET_STATES.prefix + name.encode()


class Disk:
    """Owners of the partition, one after another, on one directory."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(state=State(directory=directory))
        self.path = directory / self.settings.app / f"{TOPIC}-3"
        self.changelog = Changelog()
        self.open: list[StateOnDisk] = []

    def restore(self) -> tuple[StateOnDisk, dict[bytes, bytes]]:
        """A new owner, and what it must have in memory."""
        state = StateOnDisk(self.settings, TOPIC, 3, AUDIT_KINDS)
        self.open.append(state)
        reader: Any = self.changelog

        async def restored() -> dict[bytes, bytes]:
            others = asyncio.create_task(self.changelog.others())
            try:
                return await state.restore(reader)
            finally:
                others.cancel()

        return state, asyncio.run(restored())

    def close(self) -> None:
        """The owner goes."""
        for state in self.open:
            state.close()
        self.open.clear()

    def stored(self) -> dict[bytes, bytes]:
        """The targets that the owner's store has."""
        store = self.open[-1].store
        assert store is not None
        return dict(store.scan(TARGET_STATES.prefix))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "state")
    yield made
    made.close()


def diskless() -> float:
    """Tasks that are shown to be without a disk."""
    return REGISTRY.get_sample_value("truecount_tasks_without_disk") or 0.0


# ---------------------------------------------------------------- what is read from where


def test_targets_are_on_the_disk_and_all_else_is_in_memory(place: Disk) -> None:
    log = place.changelog
    records = {key("0a"): target(1), key("0b"): target(2), PLATFORM: platform(1), b"platform/days/0": platform(2)}
    for name, value in records.items():
        log.add(name, value)
    log.add(key("0c"), target(3))
    log.add(key("0c"), None)
    log.add(b"platform/days/1", platform(3))
    log.add(b"platform/days/1", None)
    log.add_meta(7)
    before = diskless()
    for tail in (9, 1):
        state, saved = place.restore()
        assert saved.keys() == {PLATFORM, b"platform/days/0", META_KEY}
        assert place.stored() == {key("0a"): target(1), key("0b"): target(2)}
        assert (state.tail, state.born, state.totals, state.configs) == (tail, "b", [[7, 0]], [(7, "c")])
        assert state.store is not None
        assert state.store.stamp == Stamp(f"{place.settings.app}/{TOPIC}/3", "b", 9)
        place.close()
        assert diskless() == before


def test_a_changelog_without_records_is_a_new_one_and_its_store_is_a_copy_of_nothing(place: Disk) -> None:
    state, saved = place.restore()
    other, _ = place.restore()
    assert (saved, state.tail, state.totals, state.configs) == ({}, 0, [], [])
    assert state.store is not None
    assert state.store.stamp is None
    assert len({state.born, other.born, ""}) == 3, "its id is its own"


def test_nothing_of_a_store_remains_when_its_changelog_was_deleted(place: Disk) -> None:
    place.changelog.add(key("0a"), target(1))
    place.changelog.add(PLATFORM, platform(1))
    place.changelog.add_meta()
    place.restore()
    place.close()
    place.changelog = Changelog()
    state, saved = place.restore()
    assert (saved, place.stored()) == ({}, {})
    assert state.born not in {"", "b"}


def test_state_that_has_moved_is_not_restored(place: Disk) -> None:
    place.changelog.add_meta(moved_to="elsewhere")
    with pytest.raises(MovedError, match=r"targets-state/3 has moved.*elsewhere"):
        place.restore()


def test_a_restore_that_broke_off_goes_on_from_the_last_piece_it_had_written(
    place: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "WRITE_RECORDS", 4)
    log = place.changelog
    log.add(key("0a"), target(1))
    log.add_meta(1)
    place.restore()
    place.close()
    for number in range(10):
        log.add(key(f"0{number}"), target(number))
    log.add(PLATFORM, platform(1))
    log.add_meta(2)
    log.broken_after = 10  # of the first checkpoint its meta record, and nine of ten targets
    with pytest.raises(KafkaError):
        place.restore()
    assert len(place.stored()) == 1 + 7, "two pieces of four, one of them with the meta record"
    place.close()
    log.broken_after, log.longest = None, 0
    state, saved = place.restore()
    assert state.tail == len(log.log) - 9 + 1
    assert place.stored() == {key("0a"): target(1)} | {key(f"0{number}"): target(number) for number in range(10)}
    assert saved[PLATFORM] == platform(1)
    assert log.longest == 4


def test_a_restore_of_many_records_lets_other_tasks_run_in_between_and_does_not_wait(
    place: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep, record, pauses = asyncio.sleep, target(1), set[float]()

    async def noted(seconds: float) -> None:
        pauses.add(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    for number in range(5_000):
        place.changelog.add(key(f"0{number}"), record)
    place.changelog.add_meta()
    state, _ = place.restore()
    assert state.tail == 5_001
    assert place.changelog.longest <= 2_500
    assert pauses == {0}
    assert len(place.stored()) == 5_000


# ---------------------------------------------------------------- checkpoints without a transaction


def test_of_a_checkpoint_that_broke_off_nothing_is_restored_neither_now_nor_later(place: Disk) -> None:
    log = place.changelog
    log.add(key("0a"), target(1), position=b"10")
    log.add_meta(10, marked=True)
    log.add(key("0a"), target(2), position=b"20")
    log.add(PLATFORM, platform(2), position=b"20")
    with capture_logs() as lines:
        state, saved = place.restore()
    assert [line["records"] for line in lines if line["event"].startswith("an incomplete checkpoint")] == [2]
    assert saved.keys() == {META_KEY}
    assert place.stored() == {key("0a"): target(1)}
    assert state.store is not None
    assert state.store.stamp is not None
    assert state.store.stamp.next_offset == 2
    place.close()
    log.add(key("0b"), target(3), position=b"15")
    log.add_meta(15, marked=True)
    with capture_logs() as lines:
        state, saved = place.restore()
    assert not [line for line in lines if line["event"].startswith("an incomplete checkpoint")]
    assert place.stored() == {key("0a"): target(1), key("0b"): target(3)}
    assert PLATFORM not in saved
    assert state.tail == 5


def test_a_changelog_that_has_only_a_checkpoint_that_broke_off_is_read_from_its_beginning_again(place: Disk) -> None:
    place.changelog.add(key("0a"), target(1), position=b"10")
    state, saved = place.restore()
    assert (saved, place.stored(), state.tail) == ({}, {}, 1)
    assert state.store is not None
    assert state.store.stamp is not None
    assert state.store.stamp.next_offset == 0
    place.close()
    place.changelog.add(key("0b"), target(2), position=b"11")
    place.changelog.add_meta(11, marked=True)
    state, _ = place.restore()
    assert (place.stored(), state.tail) == ({key("0b"): target(2)}, 3)


def test_a_checkpoint_whose_meta_record_was_compacted_away_is_restored(place: Disk) -> None:
    log = place.changelog
    log.add(key("0a"), target(1), position=b"10")
    log.add(key("0c"), target(7), position=b"10")
    compacted = log.add_meta(10, marked=True)
    log.add(key("0b"), target(2), position=b"20")
    log.add_meta(20, marked=True)
    del log.log[compacted]
    state, _ = place.restore()
    assert place.stored() == {key("0a"): target(1), key("0c"): target(7), key("0b"): target(2)}
    assert state.tail == 4


def test_a_piece_that_ends_amid_a_checkpoint_is_read_again_from_the_checkpoints_first_record(
    place: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "WRITE_RECORDS", 1)
    log = place.changelog
    log.add_meta(1, marked=True)
    place.restore()
    place.close()
    for number in range(3):
        log.add(key(f"0{number}"), target(number), position=b"2")
    log.add_meta(2, marked=True)
    log.broken_after = 3
    with pytest.raises(KafkaError):
        place.restore()
    assert place.stored() == {}
    place.close()
    log.broken_after = None
    state, _ = place.restore()
    assert len(place.stored()) == 3
    assert state.tail == 5


def test_records_without_a_key_are_none_of_the_state(place: Disk) -> None:
    place.changelog.add(None, b"what somebody else wrote")
    place.changelog.add(key("0a"), target(1))
    place.changelog.add_meta()
    _, saved = place.restore()
    assert saved.keys() == {META_KEY}
    assert place.stored() == {key("0a"): target(1)}


# ---------------------------------------------------------------- damaged records


def test_a_damaged_record_is_a_dead_letter_unless_a_newer_one_of_its_key_follows(place: Disk) -> None:
    log = place.changelog
    damaged = target(1)[:-1] + b"?"
    for name in ("0a", "0b", "0c"):
        log.add(key(name), damaged)
    at = log.add(PLATFORM, platform(1) + b"?")
    log.add(key("0a"), target(2))
    log.add(key("0b"), None)
    log.add_meta()
    with capture_logs() as lines:
        state, saved = place.restore()
    assert place.stored() == {key("0a"): target(2)}
    assert saved.keys() == {META_KEY}
    letters = [(one.topic, one.partition, one.offset, one.key, one.value, one.reason) for one in state.damaged]
    assert letters == [
        (TOPIC, 3, 2, key("0c"), damaged, Why.DAMAGED_STATE),
        (TOPIC, 3, at, PLATFORM, platform(1) + b"?", Why.DAMAGED_STATE),
    ]
    assert [line["where"] for line in lines if line["log_level"] == "error"][-1] == f"{TOPIC}/3 at offset {at}"
    place.close()
    assert place.restore()[0].damaged == [], "it is reported once"


def test_a_task_does_not_go_on_without_its_meta_record(place: Disk) -> None:
    place.changelog.add(key("0a"), target(1))
    place.changelog.add_meta()
    last = place.changelog.log[-1]
    place.changelog.log[-1] = last._replace(value=(last.value or b"")[:-1] + b"?")
    with pytest.raises(StateError, match=r"targets-state/3 at offset 1: .*rebuild from the log"):
        place.restore()


# ---------------------------------------------------------------- a disk that fails


def test_without_a_disk_all_of_the_state_is_in_memory_and_the_task_is_shown(place: Disk) -> None:
    place.path.parent.mkdir(parents=True)
    place.path.write_text("a file where a directory should be")
    place.changelog.add(key("0a"), target(1))
    place.changelog.add_meta()
    before = diskless()
    state, saved = place.restore()
    assert saved.keys() == {key("0a"), META_KEY}
    assert state.store is None
    assert state.tail == 2
    state.write([(key("0a"), target(2))], 3)
    assert diskless() == before + 1
    for _ in range(2):
        state.close()
        assert diskless() == before, "closed twice, counted once"


def test_a_disk_that_can_be_opened_and_not_written_is_left_and_what_was_on_it_is_deleted(
    place: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.changelog.add(key("0a"), target(1))
    place.changelog.add_meta()
    place.restore()
    place.close()
    place.changelog.add(key("0b"), target(2))
    place.changelog.add_meta()
    left: list[Store] = []
    with monkeypatch.context() as full:

        def refuse(self: Store, *_: Any, **__: Any) -> None:
            left.append(self)
            raise self._failure(OSError("No space left on device"))

        full.setattr(Store, "write", refuse)
        before = diskless()
        state, saved = place.restore()
    assert state.store is None
    assert (set(saved), state.tail) == ({key("0a"), key("0b"), META_KEY}, 4)
    assert diskless() == before + 1
    assert not place.path.exists()
    with pytest.raises(StoreError):
        left[0].get(b"its files are closed")
    place.close()
    assert diskless() == before
    state, saved = place.restore()
    assert (set(saved), state.tail) == ({META_KEY}, 4)
    assert diskless() == before


def test_a_store_that_cannot_be_opened_is_made_anew_and_the_task_has_a_disk(place: Disk) -> None:
    place.changelog.add(key("0a"), target(1))
    place.changelog.add_meta()
    place.restore()
    place.close()
    (place.path / "CURRENT").write_text("nothing of sense")
    before = diskless()
    with capture_logs() as lines:
        state, saved = place.restore()
    assert (set(saved), state.tail, place.stored()) == ({META_KEY}, 2, {key("0a"): target(1)})
    assert diskless() == before
    assert "the store could not be opened; it is rebuilt from the changelog" in [line["event"] for line in lines]


@pytest.mark.parametrize("failed", [True, False])
def test_a_store_that_has_failed_is_deleted_when_its_owner_goes(place: Disk, failed: bool) -> None:
    place.changelog.add(key("0a"), target(1))
    place.changelog.add_meta()
    state, _ = place.restore()
    assert state.store is not None
    if failed:
        state.store._db.close()
        with pytest.raises(StoreError):
            state.write([(key("0a"), target(2))], 3)
    place.close()
    assert place.path.exists() is not failed
