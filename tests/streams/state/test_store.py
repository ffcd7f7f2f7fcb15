"""A copy of one changelog partition on the disk: what it is a copy of, and what a prefix is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from streams.state import store as stores
from streams.state.store import Stamp, Store, StoreError, discard


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store"


def test_it_says_of_which_changelog_it_is_a_copy_and_up_to_where(path: Path) -> None:
    store = Store(path, "here")
    stamps = [store.stamp]
    store.write([(b"w/a", b"1")], born="x", next_offset=7)
    stamps.append(store.stamp)
    assert stamps == [None, Stamp("here", "x", 7)]
    store.close()
    again = Store(path, "here")
    assert again.stamp == Stamp("here", "x", 7)
    assert again.get(b"w/a") == b"1"


def test_a_copy_of_another_changelog_is_emptied(path: Path) -> None:
    store = Store(path, "there")
    store.write([(b"w/a", b"1")], born="x", next_offset=7)
    store.close()
    again = Store(path, "here")
    assert again.stamp is None
    assert again.get(b"w/a") is None
    again.write([(b"w/b", b"2")], born="y", next_offset=1)
    assert again.get(b"w/b") == b"2"


@pytest.mark.parametrize("read_once", [True, False])
def test_values_may_be_read_in_the_other_way_later(path: Path, *, read_once: bool) -> None:
    records = [(b"idle/%d" % number, b"%d" % number * 600) for number in range(5_000)]
    store = Store(path, "here", read_once=not read_once)
    store.write(records, born="x", next_offset=1)  # more than a memtable has
    store.close()
    again = Store(path, "here", read_once=read_once)
    assert again.stamp == Stamp("here", "x", 1)
    assert again.get_many([key for key, _ in records]) == [value for _, value in records]
    assert list(again.scan(b"idle/")) == sorted(records)


def test_records_are_deleted_by_none(path: Path) -> None:
    store = Store(path, "here")
    store.write([(b"w/a", b"1"), (b"w/b", b"2")], born="x", next_offset=1)
    store.write([(b"w/a", None)], born="x", next_offset=2)
    assert list(store.scan(b"w/")) == [(b"w/b", b"2")]


def test_what_begins_with_a_prefix_is_rubbed_out_and_its_neighbours_stay(path: Path) -> None:
    store = Store(path, "here")
    names = [b"~0", b"~0a", b"~0\xff", b"~0\xff\xff", b"~1", b"~/z"]
    store.write_scratch((name, b"") for name in names)
    store.delete_prefix(b"~0")
    assert [name for name, _ in store.scan(b"~")] == [b"~/z", b"~1"]
    store.write_scratch([(b"~0\xffa", b""), (b"~0\xfe", b"")])
    store.delete_prefix(b"~0\xff")
    assert [name for name, _ in store.scan(b"~")] == [b"~/z", b"~0\xfe", b"~1"]


def test_a_store_that_is_closed_fails_and_says_that_it_is_not_to_be_trusted(path: Path) -> None:
    store = Store(path, "here")
    assert not store.failed
    store.close()
    for use in (
        lambda: store.get(b"a"),
        lambda: store.write([], born="x", next_offset=1),
        lambda: store.write_scratch([(b"~a", b"")]),
        lambda: store.delete_prefix(b"~"),
        lambda: list(store.scan(b"~")),
    ):
        store.failed = False
        with pytest.raises(StoreError):
            use()
        assert store.failed


def test_a_path_that_is_a_file_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("")
    with pytest.raises(StoreError):
        Store(path, "here")


def test_a_store_can_be_discarded_whether_it_is_there_or_not(path: Path) -> None:
    Store(path, "here").close()
    discard(path)
    assert not path.exists()
    discard(path)


def logged_bytes(store: Store) -> int:
    """What the store has written to its log, from which it recovers after a crash."""
    store._db.flush_wal(False)
    return sum(file.stat().st_size for file in store.path.glob("*.log"))


def test_temporary_records_are_not_logged_and_those_of_the_state_are(path: Path) -> None:
    store = Store(path, "here")
    records = [(b"%d" % number, bytes(1_000)) for number in range(200)]
    empty = logged_bytes(store)
    store.write_scratch((b"~" + key, value) for key, value in records)
    store.delete_prefix(b"~1")
    assert logged_bytes(store) == empty
    store.promote((b"w/" + key, value) for key, value in records)
    promoted = logged_bytes(store)
    assert promoted - empty > 200_000
    store.write(((b"w/" + key, value) for key, value in records), born="x", next_offset=1)
    assert logged_bytes(store) - promoted > 200_000
    store.close()


def test_a_store_that_was_cleared_is_a_copy_of_nothing_and_can_be_used(path: Path) -> None:
    store = Store(path, "here")
    store.write([(b"w/a", b"1")], born="x", next_offset=7)
    store.clear()
    assert (store.stamp, store.get(b"w/a"), store.failed) == (None, None, False)
    store.write([(b"w/b", b"2")], born="y", next_offset=1)
    store.close()
    again = Store(path, "here")
    assert (again.stamp, list(again.scan(b"w/"))) == (Stamp("here", "y", 1), [(b"w/b", b"2")])
    again.close()


def test_a_store_that_cannot_be_cleared_says_so(path: Path) -> None:
    store = Store(path, "here")
    shutil.rmtree(path)
    with pytest.raises(StoreError, match="No such file"):
        store.clear()


def test_a_disk_that_refuses_the_first_write_is_found_when_the_store_is_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    class Full:
        """A database whose log cannot be written."""

        def __init__(self, *_: Any) -> None:
            self.waiting = 0

        def delete_range(self, *_: Any) -> None: ...

        def get(self, _: bytes) -> None: ...

        def put(self, *_: Any) -> None:
            self.waiting += 1

        def flush_wal(self, _: bool) -> None:
            if self.waiting:
                raise OSError("No space left on device")

        def close(self) -> None:
            closed.append(self)

    monkeypatch.setattr(stores, "Rdict", Full)
    with pytest.raises(StoreError, match="No space left"):
        Store(path, "here")
    assert len(closed) == 1
