"""A recorded file is recognised by its content: compression, encoding, format; what is damaged is a sentence."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import os
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from streams.offline.recorded import parquet
from streams.offline.recorded.file import RecordedFile
from streams.settings.inputs import ReplayMap
from streams.settings.section import SettingsError
from tests.streams.recorded_files import Command, map_of

EVENTS: list[dict[str, Any]] = [
    {"ts": 1767634490000 + n, "actor": f"å{n}", "target": "v1", "metric": "view"} for n in range(50)
]
HEADER = list(EVENTS[0])
MAP = pa.map_(pa.string(), pa.string())
ANY = ReplayMap.model_validate(
    {"metric": "view", "map": {"ts": {"value": 1}, "actor": {"value": "-"}, "target": {"value": "-"}}}
)


def separated(delimiter: str) -> bytes:
    rows = [HEADER, *(map(str, event.values()) for event in EVENTS)]
    return "\n".join(delimiter.join(row) for row in rows).encode()


def as_parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(EVENTS), out)
    return out.getvalue()


FORMATS: dict[str, bytes] = {
    "csv": separated(","),
    "tsv": separated("\t"),
    "ndjson": "\n".join(json.dumps(event, ensure_ascii=False) for event in EVENTS).encode(),
    "json array": json.dumps(EVENTS, ensure_ascii=False).encode(),
    "json array over many lines": json.dumps(EVENTS, ensure_ascii=False, indent=2).encode(),
    "json records over many lines": "\n".join(
        json.dumps(event, ensure_ascii=False, indent=2) for event in EVENTS
    ).encode(),
}


def several_members(data: bytes) -> bytes:
    return b"".join(gzip.compress(part) for part in (data[:100], b"", data[100:]))


def several_frames(data: bytes) -> bytes:
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note"
    return skippable + b"".join(zstandard.compress(part) for part in (data[:100], data[100:]))


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip of several members": several_members,
    "zstd": zstandard.compress,
    "zstd of several frames": several_frames,
}


def originals(path: Path, layout: ReplayMap | None = None) -> list[bytes]:
    return [row.original for row in RecordedFile(path, layout).rows()]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """The command, with a directory of its own."""
    return Command(tmp_path)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_in_every_packing_is_recognised_without_a_name(name: str, packing: str, tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_bytes(PACKINGS[packing](FORMATS[name]))
    recorded = RecordedFile(path)
    rows = list(recorded.rows())
    assert [json.loads(row.value or b"")["actor"] for row in rows] == [event["actor"] for event in EVENTS]
    assert recorded.format == name.split(maxsplit=1)[0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-be"])
@pytest.mark.parametrize("name", ["csv", "ndjson", "json array"])
def test_a_byte_order_mark_says_the_encoding(name: str, encoding: str, command: Command) -> None:
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    data = mark + FORMATS[name].decode().encode(encoding)
    answer = command.replay(data, "x")
    assert answer.code == 0, answer.err
    assert command.counts() == {"v1": (50, 50)}


def test_the_original_of_a_row_is_what_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(separated(",").decode().encode("utf-16"))
    assert (
        b"\n".join(originals(path)).replace(b"\n", "\n".encode("utf-16-le"))
        == path.read_bytes().split("\n".encode("utf-16-le"), 1)[1]
    )


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_packed_file_that_is_cut_off_is_a_sentence(packing: str, command: Command) -> None:
    data = PACKINGS[packing](os.urandom(3_000_000).hex().encode())
    text = b"ts,actor,target,metric\n"
    whole = PACKINGS[packing](text + data)
    answer = command.replay(whole[:-20], "x.csv")
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert "cannot read" in answer.err


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"BZh91AY&SY" + b"\0" * 20, "bzip2"),
        (b"\xfd7zXZ\0" + b"\0" * 20, "xz"),
        (b"PK\x03\x04" + b"\0" * 20, "zip"),
        (b"Obj\x01\x04\x14avro.codec", "an Avro file"),
        (b"ORC\n\x03\0\x01", "an ORC file"),
        (b"SQLite format 3\0" + b"\0" * 20, "SQLite"),
        (gzip.compress(gzip.compress(separated(","), mtime=0), mtime=0), "is no text file"),
        (b"./events.csv" + b"\0" * 245 + b"ustar  \0", "is no text file"),
        (gzip.compress(as_parquet(), mtime=0), "compressed Parquet"),
        (as_parquet()[:200] + b"PAR1", "as Parquet"),
        (gzip.compress(b"ts,actor\n", mtime=0) + b"rubbish behind it", "cannot read"),
    ],
    ids=[
        "bzip2",
        "xz",
        "zip",
        "Avro",
        "ORC",
        "SQLite",
        "gzip in gzip",
        "tar",
        "packed Parquet",
        "broken Parquet",
        "rubbish behind gzip",
    ],
)
def test_what_is_not_read_is_named(data: bytes, said: str, command: Command) -> None:
    answer = command.replay(data, "x")
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_a_directory_is_no_file(command: Command) -> None:
    answer = command.run("replay", str(command.directory), "--offline", "--out", str(command.out))
    assert answer.code == 2
    assert "is a directory" in answer.err


def test_a_pipe_can_be_read(command: Command) -> None:
    pipe = command.directory / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(FORMATS["csv"],))
    writer.start()
    answer = command.run("replay", str(pipe), "--offline", "--out", str(command.out), "--json")
    writer.join()
    assert answer.code == 0, answer.err
    assert command.counts() == {"v1": (50, 50)}


def test_a_declared_format_holds_against_the_name(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"a\tb,c\n1\t2,3\n")
    layout = ReplayMap.model_validate(
        {"file": {"format": "csv"}, "map": {"metric": {"value": "view"}, "ts": "c", "actor": "c", "target": "c"}}
    )
    assert RecordedFile(path, layout).format == "csv"
    path.write_bytes(json.dumps(EVENTS).encode())
    assert RecordedFile(path, ReplayMap.model_validate({"file": {"format": "ndjson"}})).format == "json"


def test_parquet_is_read_with_its_types(command: Command) -> None:
    begin = dt.datetime(2026, 1, 5, 17, 30, tzinfo=dt.UTC)
    table = pa.table(
        {
            "ts": pa.array([begin + dt.timedelta(seconds=n) for n in range(20)], pa.timestamp("ns", "UTC")),
            "actor": pa.array([b"u%d" % n for n in range(19)] + [b"Jos\xe9"], pa.binary()),
            "target": pa.array(["v1"] * 20).dictionary_encode(),
            "metric": ["view"] * 20,
            "watch_ms": pa.array([None, 5] * 10, pa.int32()),
            "country": ["NL"] * 20,
            "price": [Decimal("1.50")] * 20,
            "day": [dt.date(2026, 1, 5)] * 20,
            "more": [{"a": [1, float("nan")]}] * 20,
        }
    )
    pq.write_table(table, command.directory / "x.parquet", row_group_size=7)
    answer = command.run(
        "replay", str(command.directory / "x.parquet"), "--offline", "--out", str(command.out), "--json"
    )
    assert command.counts() == {"v1": (19, 19)}
    assert answer.summary()["refused"] == {"invalid_utf8": 1}
    assert command.lines("dead-letters")[0]["line"] == 20


def test_a_path_leads_into_a_column_of_parquet(command: Command) -> None:
    rows = [{"viewer": {"id": n}, "at": 1767634490 + n, "media.id": "v1"} for n in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), command.directory / "x")
    layout = map_of("at", "viewer.id", "media.id")
    answer = command.replay((command.directory / "x").read_bytes(), "x", layout)
    assert answer.code == 0, answer.err
    assert command.counts() == {"v1": (3, 3)}
    answer = command.replay((command.directory / "x").read_bytes(), "x", map_of("at", "user.id", "media.id"))
    assert "has no column 'user.id'" in answer.err


def test_times_and_maps_of_any_depth_in_parquet_are_read(command: Command) -> None:
    nanoseconds = pa.array([1767634490_000_000_001 + n for n in range(3)]).cast(pa.timestamp("ns", "UTC"))
    pages = [[("page", f"v{n}"), ("other", None)] for n in range(2)]
    table = pa.table(
        {
            "at": pa.array([1767634490000, 10**18, 1767634492000]).cast(pa.timestamp("ms")),
            "user": ["a1", "a2", "a3"],
            "seen": pa.StructArray.from_arrays([nanoseconds], ["at"]),
            "all": pa.ListArray.from_arrays([0, 1, 2, 3], nanoseconds),
            "clock": pa.array([1, 2, 3], pa.time64("ns")),
            "spent": pa.array([9_000_000_001] * 3, pa.duration("ns")),
            "more": pa.array([*pages, None], pa.map_(pa.string(), pa.string())),
            "deep": pa.array([{"m": [each]} for each in (*pages, [])], pa.struct([("m", pa.list_(MAP))])),
        }
    )
    pq.write_table(table, command.directory / "x")
    (first, second, third) = (json.loads(row.value or b"") for row in RecordedFile(command.directory / "x", ANY).rows())
    assert first["seen"] == {"at": "2026-01-05T17:34:50Z"}
    assert first["more"] == {"page": "v0", "other": None}
    assert first["deep"] == {"m": [{"page": "v0", "other": None}]}
    assert (third["more"], third["deep"]) == (None, {"m": [{}]})
    assert second["at"] == "1000000000000000000"
    answer = command.replay((command.directory / "x").read_bytes(), "x", map_of("at", "user", "more.page", "iso"))
    assert answer.summary()["refused"] == {"bad_time": 1, "missing_field": 1}
    assert command.counts() == {"v0": (1, 1)}


def test_elements_of_a_list_in_parquet_are_events(command: Command) -> None:
    rows = [
        {"user": f"u{n}", "plays": [{"at": 1767634490 + n, "video_id": f"v{k}"} for k in range(2)]} for n in range(5)
    ]
    pq.write_table(pa.Table.from_pylist(rows), command.directory / "x")
    data = (command.directory / "x").read_bytes()
    layout = 'each = "plays"\n' + map_of("at", "user", "video_id").replace('actor = "user"', 'actor = {outer = "user"}')
    answer = command.replay(data, "x", layout)
    assert answer.code == 0, answer.err
    assert command.counts() == {"v0": (5, 5), "v1": (5, 5)}
    for wrong in (layout.replace('"user"', '"who"'), layout.replace('"plays"', '"views"')):
        answer = command.replay(data, "x", wrong)
        assert answer.code == 2
        assert "has no column" in answer.err
    answer = command.run("map", "suggest", str(command.directory / "x"))
    assert 'each = "plays"' in answer.out
    assert 'actor = {outer = "user"}' in answer.out


def test_without_pyarrow_a_sentence_says_what_to_install(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(parquet, "import_module", missing)
    answer = command.replay(as_parquet(), "x.parquet")
    assert answer.code == 2
    assert "pip install 'truecount[parquet]'" in answer.err


def test_a_columns_name_in_the_map_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\n1,2\n")
    fields = {"metric": {"value": "view"}, "ts": "a", "actor": "b", "target": {"first": [{"path": "x"}, {"path": "b"}]}}
    RecordedFile(path, ReplayMap.model_validate({"map": fields}))
    fields["target"] = {"first": [{"path": "x"}, {"path": "y"}]}
    with pytest.raises(SettingsError, match="has no column x or y"):
        RecordedFile(path, ReplayMap.model_validate({"map": fields}))
    fields["target"] = {"join": [{"path": "a"}, {"path": "y"}]}
    with pytest.raises(SettingsError, match="has no column 'y'"):
        RecordedFile(path, ReplayMap.model_validate({"map": fields}))


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("ts;actor;target;metric\n1;2;3;view\n", "x.tsv", 'format = "csv" would fit'),
        ("ts,actor,target,metric\n", "x.tsv", 'format = "csv" would fit'),
    ],
)
def test_another_separator_is_named(text: str, name: str, said: str, command: Command) -> None:
    answer = command.replay(text, name)
    assert answer.code == 2
    assert said in answer.err


@pytest.mark.parametrize("first", ["", "sep={}\r\n", '"sep={}"\r\n'])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_csv_is_recognised(delimiter: str, first: str, command: Command) -> None:
    rows = [f'"{n}";{1767634490 + n};v1;"a;b, ""c"""'.replace(";", delimiter) for n in range(3)]
    header = delimiter.join(("who", "at", "what", '"title; with, all|"'))
    text = "\r\n".join((first.format(delimiter) + header, *rows))
    answer = command.replay(text, "x.csv", map_of("at", "who", "what"))
    assert answer.code == 0, answer.err
    assert command.counts() == {"v1": (3, 3)}
    recorded = RecordedFile(command.directory / "x.csv", ReplayMap.model_validate({"transform": "json:loads"}))
    texts = [json.loads(row.value or b"")["title; with, all|"] for row in recorded.rows()]
    assert texts == [f'a{delimiter}b, "c"'] * 3
    assert [row.line for row in recorded.rows()] == [2 + bool(first), 3 + bool(first), 4 + bool(first)]


def test_lines_of_arrays_are_a_record_each(command: Command) -> None:
    lines = "\n".join(json.dumps(EVENTS[n : n + 5]) for n in range(0, 50, 5))
    layout = 'each = "$"\n' + map_of("ts", "actor", "target", "ms")
    for name in ("x.ndjson", "x.json", "x"):
        answer = command.replay(lines, name, layout)
        assert answer.code == 0, answer.err
        assert answer.summary()["records"] == 10
        assert command.counts() == {"v1": (50, 50)}


@pytest.mark.parametrize("name", ["x.ndjson", "x.json", "x"])
def test_records_without_line_ends_are_read(name: str, command: Command) -> None:
    answer = command.replay("".join(json.dumps(event) for event in EVENTS), name)
    assert answer.code == 0, answer.err
    assert command.counts() == {"v1": (50, 50)}


def test_columns_of_a_file_without_a_header_have_the_names_of_the_map(command: Command) -> None:
    rows = "".join(f"{EVENTS[n]['ts']};a{n};v1;view\n" for n in range(50))
    answer = command.replay(rows, "x.csv", '[file]\ncolumns = ["ts", "actor", "target", "metric"]\n')
    assert answer.code == 0, answer.err
    assert command.counts() == {"v1": (50, 50)}
    answer = command.replay(json.dumps(EVENTS), "x.json", '[file]\ncolumns = ["ts"]\n')
    assert answer.code == 2
    assert "has names of its own" in answer.err


def test_a_log_of_a_web_server_is_a_table_of_one_column(command: Command) -> None:
    lines = "".join(
        f'203.0.113.{n} - - [05/Jan/2026:17:34:{n:02} +0000] "GET /v/7.mp4?s={n} HTTP/1.1" 200 9000 "-" "Agent/{n}"\n'
        for n in range(9)
    )
    layout = r"""
metric = "view"
keep = [{path = "line", matches = '" 20[06] '}]

[file]
format = "tsv"
columns = ["line"]

[map]
ts = {path = "line", pattern = '\[(.+?)\]', time = "%d/%b/%Y:%H:%M:%S %z"}
actor = {join = [{path = "line", pattern = '^(\S+)'}, {path = "line", pattern = '"([^"]*)"$'}]}
target = {path = "line", pattern = '"GET /v/([^ ?]+)'}
ip = {path = "line", pattern = '^(\S+)'}
"""
    answer = command.replay(lines, "access.log", layout)
    assert answer.code == 0, answer.err
    assert command.counts() == {"7.mp4": (9, 9)}
