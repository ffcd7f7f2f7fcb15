"""An offline replay in several processes writes what one process writes, and ends when one of them does."""

from __future__ import annotations

import contextlib
import gzip
import json
import multiprocessing
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.testbed.workers import CLI, ROOT, clean_environment
from streams.cli.outputs.progress import ReplayProgress
from streams.offline import pipeline
from streams.offline.accounts import ACTORS
from streams.offline.partitions import Audited, InProcess
from streams.offline.pipeline import FILES, Files, Offline, audit_file
from streams.offline.processes import (
    POOL_BYTES,
    PartitionError,
    ProcessEndedError,
    Processes,
    cores,
    jobs_for,
)
from streams.offline.reached import Reached
from streams.offline.recorded.file import RecordedFile
from streams.offline.recorded.row import Row
from streams.settings.section import SettingsError
from streams.settings.settings import Settings
from tests.command import truecount
from tests.crowds import MINUTE_MS, START_MS, bought, in_order, ordinary
from tests.robots import robots

CLOCK_MS = START_MS + 30 * 24 * 60 * MINUTE_MS
MODELS = "tests.streams.offline.models"


def settings_with(model: str | None = None, partitions: int = 5) -> Settings:
    """Settings with an operator's model, which must reach the processes."""
    model = "river.anomaly.LocalOutlierFactor" if model is None else f"{MODELS}.{model}"
    choice = {"model": model, "windows": 20, "shadow": False, "family": "how"}
    return Settings.model_validate({"partitions": partitions, "detection": {"models": {"own": choice}}})


@cache
def lines() -> tuple[bytes, ...]:
    """Views with a bought burst and robots, with duplicates, undone likes, bad records and bad optional values."""
    events = in_order(
        ordinary(1, ids=True),
        bought(2, "v3", begin=START_MS + 70 * MINUTE_MS, ids=True),
        robots(3, "v7", begin=START_MS + 60 * MINUTE_MS),
    )
    rng = random.Random(4)
    made: list[bytes] = []
    for event in events:
        line = msgspec.json.encode(msgspec.structs.replace(event, metric="view"))
        made.append(line)
        draw = rng.random()
        if draw < 0.02:
            made.append(line)  # a duplicate
        elif draw < 0.04:
            like = {"ts": event.ts, "actor": event.actor, "target": event.target, "metric": "like"}
            made += [json.dumps(like | {"undo": undo}).encode() for undo in (False, True)]
        elif draw < 0.05:
            made.append(rng.choice([b"{", b"[]", b'{"ts":1}', b'{"actor":"a"}', b"\xff\xfe", line[:40]]))
        elif draw < 0.06:
            made.append(line.replace(b'"ip":"', b'"ip":"x'))
    return tuple(made)


def file_of(directory: Path, rows: tuple[bytes, ...] | None = None) -> RecordedFile:
    path = directory / "recorded.ndjson"
    path.write_bytes(b"\n".join(lines() if rows is None else rows) + b"\n")
    return RecordedFile(path)


def audited(
    settings: Settings, recorded: RecordedFile, out: Path, jobs: int
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The output files and the summary."""
    files = Files(out, actors=settings.actors.enabled)
    try:
        offline = audit_file(settings, recorded, files, CLOCK_MS, jobs=jobs)
    finally:
        files.close()
    # As JSON: the order of reasons is part of what is printed.
    return {name: (out / f"{name}.ndjson").read_bytes() for name in (*FILES, ACTORS)}, json.loads(
        json.dumps(offline.summary.as_dict()), object_pairs_hook=list
    )


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    """A replay leaves no process, however it ends."""
    yield
    assert multiprocessing.active_children() == []


@pytest.mark.timeout(180)
def test_any_number_of_processes_writes_the_same_bytes(tmp_path: Path) -> None:
    recorded, settings = file_of(tmp_path), settings_with()
    files, summary = audited(settings, recorded, tmp_path / "1", 1)
    assert all(files.values())
    numbers = dict(summary)
    assert numbers["flags"] >= 1
    assert numbers["rule_bursts"] >= 1
    assert {"duplicate_id", "undone", "declared_robot"} <= {reason for reason, _ in numbers["invalid"]}
    assert len(numbers["refused"]) >= 3
    assert numbers["unread"]
    for jobs in (2, 3, 8):
        assert audited(settings, recorded, tmp_path / str(jobs), jobs) == (files, summary)


@pytest.mark.timeout(120)
def test_small_steps_and_a_reader_that_never_runs_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "BATCH", 97)
    recorded, settings = file_of(tmp_path, lines()[:3000]), settings_with()
    alone = audited(settings, recorded, tmp_path / "1", 1)
    monkeypatch.setattr(pipeline, "STEPS_MAX", 1)
    monkeypatch.setattr(pipeline, "HELD_BYTES_MAX", 200)
    assert audited(settings, recorded, tmp_path / "2", 2) == alone


@pytest.mark.timeout(120)
def test_a_file_that_is_not_in_order_is_audited_again_in_order(tmp_path: Path) -> None:
    rows = lines()
    recorded, settings = file_of(tmp_path, (*rows[3000:5000], *rows[:3000])), settings_with()
    alone = audited(settings, recorded, tmp_path / "1", 1)
    assert dict(alone[1])["sorted"] is True
    assert audited(settings, recorded, tmp_path / "2", 2) == alone


@pytest.mark.timeout(60)
def test_the_reader_waits_for_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, steps = 50, 3
    monkeypatch.setattr(pipeline, "BATCH", batch)
    monkeypatch.setattr(pipeline, "STEPS_MAX", steps)
    good = [line for line in lines() if b'"target"' in line and line.endswith(b"}")][:4000]
    written, ahead = 0, []

    def sink(name: str, _: bytes) -> None:
        nonlocal written
        written += name == "dead-letters"

    def rows() -> Iterator[Row]:
        for number, line in enumerate(good):
            bad = number % batch == 0  # one refused record a step shows when its step is written
            value = b"{" if bad else line
            ahead.append(number // batch - written)
            yield Row(value, value, number + 1)

    summary = Offline(settings_with(partitions=2), sink, clock_ms=CLOCK_MS, jobs=2).replay(rows())
    assert written == summary.dead_letters == len(good) // batch
    assert max(ahead) == steps


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("Killed", r"the process that audits partitions (0 and 2|1 and 3) was killed by SIGKILL; if memory ran out, "),
        ("Exits", r"the process that audits partitions (0 and 2|1 and 3) ended with exit code 7; "),
        (
            "DiskFull",
            r"partition [0-3] could not be audited: OSError: \[Errno 28\] No space left on device for .* bytes; ",
        ),
    ],
)
def test_a_process_that_fails_ends_the_replay_with_a_sentence(tmp_path: Path, model: str, sentence: str) -> None:
    with pytest.raises(ProcessEndedError, match=sentence):
        audited(settings_with(model, partitions=4), file_of(tmp_path), tmp_path / "out", 2)


@pytest.mark.timeout(60)
def test_an_unexpected_exception_names_its_partition_and_has_the_traceback() -> None:
    processes = Processes(settings_with(partitions=2), 2)
    processes.send([(0, b"no frame"), (7, b"of no partition")])
    with pytest.raises(PartitionError, match="partition 7 could not be audited: KeyError: 7") as caught:
        list(processes.results(0))
    processes.close()
    assert any("audit_process.py" in note for note in caught.value.__notes__)


@pytest.mark.timeout(60)
def test_results_have_the_order_of_the_frames_and_what_cannot_be_counted_is_among_them() -> None:
    steps = [[(0, b"a"), (1, b"b"), (1, b"c"), (3, b"d")], [], [(2, b"e" * 300_000)], [(3, b"f"), (0, b"g")]]

    def found(auditors: InProcess | Processes) -> list[list[Audited]]:
        results = []
        for step in steps:
            auditors.send(step)
            results += [list(one) for one in auditors.results(2)]
        results += [list(one) for one in auditors.results(0)]
        assert len(auditors.totals()) == 4
        auditors.close()
        return results

    settings = settings_with(partitions=4)
    alone = found(InProcess(settings))
    assert [[one.uncounted[0][1] for one in step] for step in alone] == [[value for _, value in s] for s in steps]
    assert found(Processes(settings, 3)) == alone


@pytest.mark.timeout(60)
def test_a_file_that_cannot_be_read_to_its_end_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cut.ndjson.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines()))[:-4000])
    with pytest.raises(SettingsError, match=r"cut\.ndjson\.gz"):
        audited(settings_with(), RecordedFile(path), tmp_path / "out", 2)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_ctrl_c_and_a_killed_command_end_all_processes(tmp_path: Path, number: int, code: int) -> None:
    file_of(tmp_path)
    (tmp_path / "own.toml").write_text(
        f'partitions = 2\n[detection.models.own]\nmodel = "{MODELS}.Waits"\nwindows = 20\nfamily = "how"\n'
    )
    process = subprocess.Popen(
        [*CLI, "replay", "recorded.ndjson", "--offline", "--out", "out", "--jobs", "2", "--config", "own.toml"],
        cwd=tmp_path,
        env=clean_environment() | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does: all processes of the command get it
        else:
            process.kill()
        # The pipes end when all processes have ended.
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (code, b"")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_the_command_takes_the_number_of_processes(tmp_path: Path) -> None:
    file_of(tmp_path, lines()[:500])
    printed = [
        truecount(
            "replay", str(tmp_path / "recorded.ndjson"), "--offline", "--out", str(tmp_path / jobs), "--jobs", jobs
        )
        for jobs in ("1", "2")
    ]
    assert printed[0].stdout == printed[1].stdout != ""
    for name in FILES:
        assert (tmp_path / "1" / f"{name}.ndjson").read_bytes() == (tmp_path / "2" / f"{name}.ndjson").read_bytes()


def test_a_large_file_uses_all_cores_and_a_small_one_this_process() -> None:
    assert jobs_for(POOL_BYTES - 1, 1024, None) == 1
    assert jobs_for(POOL_BYTES, 1024, None) == cores() == len(os.sched_getaffinity(0))
    assert jobs_for(POOL_BYTES, 1, None) == 1


def test_progress_has_events_a_second_and_the_remaining_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter([0.0, 5.0, 10.0, 12.0, 50.0, 60.0])
    monkeypatch.setattr("streams.cli.outputs.progress.time", type("Clock", (), {"monotonic": lambda: next(seconds)}))
    with ReplayProgress(quiet=False) as progress:
        progress.reached(Reached("sorting by time", 500, 0.5))
        progress.reached(Reached("sorting by time", 1000, 0.8))
        progress.reached(Reached("auditing", 0, 0.0))
        progress.reached(Reached("auditing", 3_800, 0.1))
        progress.reached(Reached("auditing", 9_600, 1.0))
    assert capsys.readouterr().err.splitlines() == [
        "truecount: sorting by time: 80 %, 1,000 events, 200 events/s, 1 s left",
        "truecount: auditing: 10 %, 3,800 events, 100 events/s, 5 min 42 s left",
        "truecount: auditing: 100 %, 9,600 events, 200 events/s",
    ]


@pytest.mark.parametrize("name", ["recorded.ndjson", "recorded.ndjson.gz", "recorded.parquet"])
def test_the_share_that_is_read_grows_to_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    rows = [
        {"ts": START_MS + n, "actor": f"a{n % 977}", "target": f"t{n * n}", "metric": "view"} for n in range(120_000)
    ]
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        text = b"\n".join(msgspec.json.encode(row) for row in rows)
        path.write_bytes(gzip.compress(text, 1) if name.endswith("gz") else text)
    recorded = RecordedFile(path)
    shares = [recorded.share_read() for _ in recorded.rows()]
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    assert any(0.2 < share < 0.9 for share in shares)
    assert recorded.share_read() == 1
