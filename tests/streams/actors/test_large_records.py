"""The large records of a checkpoint lie on the disk until they are sent, and are stored after the commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.actors.large_records import PROMOTED_BYTES, LargeRecords
from streams.state.store import SCRATCH, Store

RECORDS = [(b"accounts/rows/%d" % number, bytes([number]) * (PROMOTED_BYTES // 3)) for number in range(8)]


@pytest.mark.parametrize("on_disk", [True, False])
def test_they_are_read_twice_and_gone_when_they_are_stored(tmp_path: Path, *, on_disk: bool) -> None:
    store = Store(tmp_path, "app/actors-state/0") if on_disk else None
    large = LargeRecords()
    large.use_store(store)
    assert list(large.records()) == []
    large.cut(iter(RECORDS))
    for _ in range(2):  # an outlet without transactions reads them twice
        assert list(large.records()) == RECORDS
    for _ in large.stored():
        assert list(large.records()) == RECORDS, "other tasks may run between the steps"
    assert list(large.records()) == []
    if store is not None:
        assert [(key, store.get(key)) for key, _ in RECORDS] == RECORDS
        assert list(store.scan(SCRATCH)) == []
        store.close()


def test_a_later_checkpoint_has_its_own_records(tmp_path: Path) -> None:
    store, large = Store(tmp_path, "app/actors-state/0"), LargeRecords()
    large.use_store(store)
    for records in (RECORDS[:5], [(RECORDS[2][0], b"later")]):
        large.cut(records)
        assert list(large.records()) == records
        list(large.stored())
    assert store.get(RECORDS[2][0]) == b"later"
    assert store.get(RECORDS[4][0]) == RECORDS[4][1]
    store.close()


def test_nothing_of_a_checkpoint_that_was_not_committed_is_left_after_a_restart(tmp_path: Path) -> None:
    store, large = Store(tmp_path, "app/actors-state/0"), LargeRecords()
    large.use_store(store)
    large.cut(RECORDS)
    store.close()
    store = Store(tmp_path, "app/actors-state/0")
    assert list(store.scan(b"")) == list(store.scan(b"probe"))
    store.close()


def test_a_checkpoint_takes_few_large_writes_and_no_large_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, large = Store(tmp_path, "app/actors-state/0"), LargeRecords()
    written: list[int] = []

    def promote(records: list[tuple[bytes, bytes]]) -> None:
        written.append(sum(len(value) for _, value in records))

    monkeypatch.setattr(store, "promote", promote)
    large.use_store(store)
    large.cut(RECORDS)
    list(large.stored())
    assert sum(written) == sum(len(value) for _, value in RECORDS)
    assert max(written) < 2 * PROMOTED_BYTES
    store.close()
