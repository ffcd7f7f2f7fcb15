"""`truecount map suggest` and `truecount map try` on files."""

from __future__ import annotations

import json
import os
import threading
import tomllib
from pathlib import Path

import pytest

from tests.command import truecount

PLAYS = """when,who,page,kind
2024-05-01T12:00:00Z,ann,p1,LIKE
2024-05-01T12:00:01Z,bob,p1,LIKE
2024-05-01T12:00:03Z,bob,p1,UNLIKE
2024-05-01T12:00:04Z,cem,p2,SHARE
never,cem,p1,LIKE
2024-05-01T12:00:06Z,,p1,LIKE
"""


@pytest.fixture
def likes(tmp_path: Path) -> Path:
    """A recorded file."""
    path = tmp_path / "likes.csv"
    path.write_text(PLAYS)
    return path


def test_a_suggested_map_is_valid_and_can_be_tried_and_replayed(likes: Path, tmp_path: Path) -> None:
    layout = tmp_path / "likes.toml"
    done = truecount("map", "suggest", str(likes), "--out", str(layout))
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert f"truecount map try {likes} --map {layout}" in done.stderr
    assert truecount("config", "check", str(layout)).returncode == 0

    tried = truecount("map", "try", str(likes), "--map", str(layout), "--json")
    assert tried.returncode == 0, tried.stderr
    found = json.loads(tried.stdout)
    assert (found["totals"]["records"], found["totals"]["events"]) == (6, 3)
    assert found["totals"]["refused"] == {"bad_time": 1, "missing_field": 1}
    assert found["totals"]["skipped"] == {"filtered": 1}
    assert found["records"][2]["events"][0]["undo"] is True

    replayed = truecount(
        "replay", str(likes), "--map", str(layout), "--offline", "--out", str(tmp_path / "out"), "--allow-bad", "--json"
    )
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads(replayed.stdout)["raw"] == 2


def test_a_map_may_come_through_a_pipe(likes: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    fields = 'ts = {path = "when", time = "iso"}\nactor = "who"\ntarget = "page"\n'
    writer = threading.Thread(target=pipe.write_text, args=[f'metric = "like"\n[map]\n{fields}'])
    writer.start()
    tried = truecount("map", "try", str(likes), "--map", str(pipe), "--json")
    writer.join()
    assert json.loads(tried.stdout)["totals"]["events"] == 4


def test_without_a_terminal_the_records_are_plain_lines(likes: Path, tmp_path: Path) -> None:
    layout = tmp_path / "likes.toml"
    truecount("map", "suggest", str(likes), "--out", str(layout))
    shown = truecount("map", "try", str(likes), "--map", str(layout)).stdout.splitlines()
    assert shown[0] == "line 2: 2024-05-01T12:00:00Z,ann,p1,LIKE"
    assert shown[1].startswith('   event {"ts":1714564800000,"actor":"ann"')
    assert "   refused: bad_time: 'never' is no time of ISO 8601 - at `$.when`" in shown
    assert "   skipped: filtered" in shown
    assert f"6 records of {likes.name} make 3 events" in shown


def test_a_map_goes_to_the_screen_and_nowhere_else_if_no_file_is_named(likes: Path) -> None:
    done = truecount("map", "suggest", str(likes))
    assert tomllib.loads(done.stdout)["metric"] == "like"
    assert [path.name for path in likes.parent.iterdir()] == [likes.name]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["map", "suggest"], "give either a file or --topic"),
        (["map", "suggest", "FILE", "--topic", "x"], "give either a file or --topic"),
        (["map", "suggest", "FILE", "--out", "FILE"], "exists; choose another name"),
        (["map", "suggest", "nowhere.csv"], "nowhere.csv"),
        (["map", "try", "FILE"], "has no column"),
        (["map", "try", "FILE", "--map", "nowhere.toml"], "cannot read nowhere.toml"),
    ],
)
def test_wrong_usage_is_a_sentence(likes: Path, words: list[str], said: str) -> None:
    done = truecount(*(str(likes) if word == "FILE" else word for word in words))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_field_that_is_not_found_is_named_and_the_exit_code_is_1(tmp_path: Path) -> None:
    path = tmp_path / "colours.ndjson"
    path.write_text('{"colour": "red"}\n')
    done = truecount("map", "suggest", str(path))
    assert done.returncode == 1
    assert "ts" in done.stderr
    assert tomllib.loads(done.stdout)["map"]["ts"] == "ts"


def test_a_map_that_makes_no_event_exits_with_1_and_says_why(likes: Path, tmp_path: Path) -> None:
    layout = tmp_path / "wrong.toml"
    layout.write_text('metric = "like"\n[map]\nts = {path = "when", time = "ms"}\nactor = "who"\ntarget = "page"\n')
    done = truecount("map", "try", str(likes), "--map", str(layout))
    assert done.returncode == 1
    assert "bad_time" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# exported in 2026\nts,actor,target\n1767634490,a,v\n", "the row has 3 columns, the header has 1"),
        ('ts,actor,target\n1767634490,a,"v \\"7\\""\n', "text follows a closing quotation mark"),
        ("{'ts': 1767634490}\n", "JSON is malformed"),
        ('{"data": ["' + "x" * 70_000 + '"]}\n', "70,014 bytes; 65,536 are allowed"),
    ],
)
def test_records_that_are_no_documents_are_explained(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_text(text)
    done = truecount("map", "suggest", str(path))
    assert done.returncode == 2
    assert said in done.stderr


def test_records_with_nan_are_sampled(tmp_path: Path) -> None:
    path = tmp_path / "plays.ndjson"
    path.write_text('{"at": 1767634490, "user": "u", "video": "v", "watched_seconds": NaN}\n' * 3)
    done = truecount("map", "suggest", str(path))
    assert done.returncode == 0, done.stderr
    assert tomllib.loads(done.stdout)["map"]["target"] == "video"


def test_a_map_says_what_it_refuses_and_which_ids_come_again(tmp_path: Path) -> None:
    path = tmp_path / "plays.ndjson"
    plays = [
        {"id": n * 9 // 10, "at": 1767634490 + n, "user": f"u{n}", "video": None if n % 10 == 5 else "v"}
        for n in range(100)
    ]
    path.write_text("\n".join(map(json.dumps, plays)))
    done = truecount("map", "suggest", str(path))
    assert "# this map refuses 10 of 100 records, most of them (10) as missing_field" in done.stdout
    assert "# 10 of 90 events have the id of another, and are duplicates: check id" in done.stdout
