"""Records of checkpoints without a transaction, in memory and in a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.state import uncommitted
from streams.state.sealed import META_KEY
from streams.state.store import SCRATCH, Store
from streams.state.uncommitted import POSITION_HEADER, UncommittedRecords, Waiting
from tests.streams.state.test_disk import Record


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store(tmp_path_factory.mktemp("store"), "test")
    yield opened
    opened.close()


CHECKPOINTS = st.lists(
    st.tuples(st.integers(1, 9), st.lists(st.sampled_from("abcdefgh"), max_size=7), st.booleans()), max_size=6
)
"""(position, keys, whether its meta record was written) of checkpoints one after the other."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHECKPOINTS, st.booleans(), st.integers(1, 4))
def test_a_store_holds_back_what_memory_would(
    store: Store, checkpoints: list[tuple[int, list[str], bool]], compacted: bool, at_once: int
) -> None:
    log: list[Record] = []
    for position, keys, whole in checkpoints:
        headers = ((POSITION_HEADER, b"%d" % position),)
        for key in [*(name.encode() for name in keys), *([META_KEY] if whole else [])]:
            log.append(Record(len(log), key, b"%d" % len(log), headers))
    if compacted:
        newest = {record.key: record.offset for record in log}
        log = [record for record in log if newest[record.key] == record.offset]

    def held(where: Store | None) -> tuple[list[Waiting], int]:
        records = UncommittedRecords(where)
        return [waiting for record in log for waiting in records.completed(record)], len(records)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(uncommitted, "WAITING_MAX", at_once)
        found = held(store)
        store.delete_prefix(SCRATCH)
    assert found == held(None)


def test_of_a_compacted_changelog_few_records_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uncommitted, "WAITING_MAX", 10)
    store = Store(tmp_path / "store", "test")
    records, most = UncommittedRecords(store), 0
    for number in range(1_000):
        headers = ((POSITION_HEADER, b"%d" % (number // 7)),)
        assert list(records.completed(Record(2 * number, b"w/%d" % number, b"x", headers))) == []
        most = max(most, len(records._in_memory))
    meta = Record(5_000, META_KEY, b"x", ((POSITION_HEADER, b"999"),))
    assert [waiting.offset for waiting in records.completed(meta)] == [*range(0, 2_000, 2), 5_000]
    assert most <= 10
    assert not list(store.scan(SCRATCH))
    assert not records
    store.close()
