"""A copy of one changelog partition on the disk: what it is a copy of, and what a prefix is."""

from __future__ import annotations

from pathlib import Path

import pytest

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
