"""Rows in order of time: sorted within a bound of memory, stable, and without a trace on the disk."""

from __future__ import annotations

import random
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.offline.pipeline import Offline
from streams.offline.recorded import order
from streams.offline.recorded.decoding import in_order, rows_by_time
from streams.offline.recorded.file import RecordedFile
from streams.offline.recorded.order import Order, Timed, sorted_rows
from streams.offline.recorded.row import Row
from streams.settings.event_time import Time
from streams.settings.section import SettingsError
from streams.settings.settings import Settings

CLOCK_MS = 1_800_000_000_000
BEGIN_MS = 1_767_634_490_000


def timed(times: list[int]) -> list[Timed]:
    return [(ts, Row(b"{}", str(number).encode(), number)) for number, ts in enumerate(times)]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for temporary files."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


@given(times=st.lists(st.integers(0, 20), max_size=60), memory=st.sampled_from([1, 900, 10**9]), fan_in=st.just(3))
def test_it_is_a_stable_sort_in_any_memory(times: list[int], memory: int, fan_in: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "FAN_IN", fan_in)
        with sorted_rows(timed(times), memory) as rows:
            found = [row.line for row in rows]
    assert found == sorted(range(len(times)), key=lambda number: times[number])


def test_nothing_is_left_on_the_disk_even_after_an_error(temporary: Path) -> None:
    def stop_within() -> None:
        with sorted_rows(timed([3, 1, 2] * 50), 1000) as rows:
            assert any(temporary.iterdir())
            next(rows)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop_within()
    assert list(temporary.iterdir()) == []


def test_a_disk_without_room_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(order, "_write", full)
    said = "No space left on device; set TMPDIR to a directory with more space"
    with pytest.raises(SettingsError, match=said), sorted_rows(timed([3, 1, 2]), 1):
        pass
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with pytest.raises(SettingsError, match="cannot sort the file by time"), sorted_rows(timed([1]), 1):
        pass


def test_memory_stays_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = 1_000_000
    monkeypatch.setattr(order, "BUFFER_BYTES", 10_000)
    shuffled = list(range(30_000))
    random.Random(1).shuffle(shuffled)
    text = b"x" * 500
    tracemalloc.start()
    try:
        with sorted_rows(((ts, Row(b"{%d}" % ts, text + b"%d" % ts, ts)) for ts in shuffled), bound) as rows:
            lines = [row.line for row in rows]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert lines == list(range(30_000))
    size = 30_000 * len(text)
    assert peak - 30_000 * 40 < 3 * bound < size / 4


@given(
    times=st.lists(st.integers(0, 100), min_size=1, max_size=30), lateness=st.integers(0, 50), cut=st.integers(1, 30)
)
def test_a_file_is_in_order_if_no_event_is_later_than_allowed(times: list[int], lateness: int, cut: int) -> None:
    latest = -1
    late = False
    for ts in times:
        late |= latest - ts > lateness
        latest = max(latest, ts)
    seen = Order(lateness)
    for begin in range(0, len(times), cut):
        seen.add(np.array(times[begin : begin + cut]))
    assert seen.in_order is not late


def recorded(path: Path, lines: list[str]) -> RecordedFile:
    path.write_text("ts,actor,target,metric\n" + "\n".join(lines) + "\n")
    return RecordedFile(path)


def outputs(rows: list[Row], recorded_file: RecordedFile) -> tuple[list[tuple[str, bytes]], int]:
    written: list[tuple[str, bytes]] = []
    offline = Offline(
        Settings(), lambda name, line: written.append((name, line)), config=recorded_file.input, clock_ms=CLOCK_MS
    )
    summary = offline.replay(rows)
    return written, summary.late


def test_sorted_it_gives_what_the_sorted_file_gives(tmp_path: Path) -> None:
    rng = random.Random(3)
    day = 86_400_000
    times = (BEGIN_MS + int(rng.random() * 4 * day) for _ in range(4 * 3000))
    lines = [f"{ts},reader{int(3000 * rng.random() ** 2)},page{int(200 * rng.random() ** 3)},like" for ts in times]
    burst = (BEGIN_MS + 3 * day + int(rng.random() * 900_000) for _ in range(600))
    lines = sorted([*lines, *(f"{ts},busy{number % 8},page33,like" for number, ts in enumerate(burst))])
    in_time = recorded(tmp_path / "x.csv", lines)
    expected, late = outputs(list(in_time.rows()), in_time)
    assert late == 0
    assert any(name == "flagged-events" for name, _ in expected)
    assert in_order(in_time, Time(), CLOCK_MS)

    # Events of one millisecond keep their order, as those of a topic do.
    blocks = [lines[begin : begin + 100] for begin in range(0, len(lines), 100)]
    rng.shuffle(blocks)
    shuffled = recorded(tmp_path / "x.csv", [line for block in blocks for line in block])
    assert not in_order(shuffled, Time(), CLOCK_MS)
    with rows_by_time(shuffled, Time(), CLOCK_MS, memory_bytes=500_000) as rows:
        found, late = outputs(list(rows), shuffled)
    assert late == 0
    assert found == expected


def test_rows_without_a_time_stay_behind_the_row_before(tmp_path: Path) -> None:
    lines = [f"{BEGIN_MS + 60_000},a,v,view", "never,b,v,view", "1,2", f"{BEGIN_MS},c,v,view"]
    unsorted = recorded(tmp_path / "x.csv", lines)
    with rows_by_time(unsorted, Time(), CLOCK_MS) as rows:
        assert [row.line for row in rows] == [5, 2, 3, 4]


def test_records_on_one_line_are_sorted_each_by_its_own_time(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    events = ",".join(
        f'{{"ts":{BEGIN_MS + 60_000 * n},"actor":"a","target":"v{n}","metric":"view"}}' for n in (2, 0, 1)
    )
    path.write_text(f"[{events}]")
    with rows_by_time(RecordedFile(path), Time(), CLOCK_MS) as rows:
        assert [b'"v%d"' % n in (row.value or b"") for n, row in enumerate(rows)] == [True] * 3
