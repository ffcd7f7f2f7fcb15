"""`truecount flags`: one line a flag, aligned on a terminal and never wrapped elsewhere, filtered, and as JSON."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from typer.testing import CliRunner

from bench.testbed.workers import CLI, clean_environment
from streams.cli import app
from streams.evidence.flag_filter import moment
from streams.evidence.flag_row import FIELDS, Layout, fields_of
from streams.settings.section import SettingsError
from tests.command import truecount

ONSET = 1_767_634_490_000
HOUR_MS = 3_600_000
CODES = ("surge", "few_networks", "fresh_accounts", "odd_watch_time")


def flag(ident: str, revision: int, **other: Any) -> dict[str, Any]:
    """A flag as an offline replay writes it."""
    return {
        "flag_id": ident,
        "revision": revision,
        "status": "opened",
        "verdict": "artificial",
        "metric": "view",
        "target": "v1",
        "onset": ONSET,
        "until": ONSET + HOUR_MS,
        "score": 90,
        "observed": 100,
        "expected": {"value": 2, "low": 0, "high": 9},
        "artificial": {"value": 90, "low": 80, "high": 100},
        "reasons": [{"code": code, "detector": "d", "p": 1e-5, "text": f"because of {code}"} for code in CODES],
        "series": [{"start": ONSET, "end": ONSET + HOUR_MS, "observed": 100, "expected": 2.0}],
        **other,
    }


MIXED = [
    flag("aaaa1111", 1, onset=ONSET + 2 * HOUR_MS, until=ONSET + 3 * HOUR_MS),
    flag("bbbb2222", 1, verdict="suspect", score=40, target="a long name of a target, longer than a terminal" * 3),
    flag("cccc3333", 1, verdict="explained", score=0, metric="like", status="closed", target="日本語\tv\n2\x1b[31m"),
]


@pytest.fixture
def audited(tmp_path: Path) -> Path:
    """The directory of an offline replay with three flags."""
    write(tmp_path, MIXED)
    return tmp_path


def write(directory: Path, flags: list[dict[str, Any]]) -> None:
    (directory / "flagged-events.ndjson").write_text("".join(json.dumps(each) + "\n" for each in flags))


def ids(directory: Path, *options: str) -> list[str]:
    """The ids that are shown, in their order."""
    done = truecount("flags", "--from", str(directory), *options)
    assert done.returncode == 0, done.stderr
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def test_the_newest_revision_of_each_flag_of_a_directory_is_shown(tmp_path: Path) -> None:
    flags = [flag("aaaa1111", 1), flag("bbbb2222", 1), flag("aaaa1111", 2)]
    write(tmp_path, flags)
    shown = CliRunner().invoke(app, ["flags", "--from", str(tmp_path), "--json"])
    assert shown.exit_code == 0, shown.output
    found = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [(each["flag_id"], each["revision"]) for each in found] == [("aaaa1111", 2), ("bbbb2222", 1)]
    every = CliRunner().invoke(app, ["flags", "--from", str(tmp_path), "--json", "--revisions"])
    assert len(every.stdout.splitlines()) == 3


def test_without_a_terminal_a_flag_is_a_line_of_fields_in_order_of_onset(audited: Path) -> None:
    done = truecount("flags", "--from", str(audited))
    rows = [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]
    assert [row["flag_id"] for row in rows] == ["bbbb2222", "cccc3333", "aaaa1111"]
    assert rows[0]["target"] == MIXED[1]["target"]
    assert rows[1]["target"] == r"日本語\tv\n2\x1b[31m"
    assert rows[2] == {
        "flag_id": "aaaa1111",
        "since": "2026-01-05T19:34:50Z",
        "verdict": "artificial",
        "status": "opened",
        "score": "90",
        "metric": "view",
        "target": "v1",
        "observed": "100",
        "expected": "2",
        "removed": "90",
        "reasons": "surge,few_networks,fresh_accounts,odd_watch_time",
    }
    assert done.stderr == ""


def on_a_terminal(columns: int, *words: str, **variables: str) -> list[str]:
    """The lines of a command on a terminal of this width."""
    own, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**clean_environment(), "TERM": "xterm-256color", **variables}
    for name in ("COLUMNS", "NO_COLOR"):
        environment.pop(name, None) if name not in variables else None
    with subprocess.Popen([*CLI, *words], stdin=other, stdout=other, stderr=other, env=environment) as process:
        os.close(other)
        output = b""
        while True:
            try:
                part = os.read(own, 65_536)
            except OSError:  # Linux: the other side is closed
                break
            if not part:
                break
            output += part
    os.close(own)
    assert process.returncode == 0, output
    return output.decode().replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_each_flag_is_one_aligned_line_in_colour(audited: Path, columns: int) -> None:
    coloured = on_a_terminal(columns, "flags", "--from", str(audited))
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured]
    assert len(lines) == 1 + len(MIXED)
    assert max(map(cell_len, lines)) <= columns
    head = lines[0]
    assert head.split() == ["flag", "since", "(UTC)", *head.split()[3:]]
    for line, verdict in zip(lines[1:], ["suspect", "explained", "artificial"], strict=True):
        assert line[head.index("verdict") :].startswith(verdict)
        assert line[head.index("target") - 2 : head.index("target")] == "  "
    assert "…" in lines[1]
    assert "\x1b[31martificial" in coloured[3]
    assert "\x1b[31m" not in "".join(lines)


def test_who_wants_no_colours_gets_none(audited: Path) -> None:
    lines = on_a_terminal(100, "flags", "--from", str(audited), NO_COLOR="1")
    assert not re.search(r"\x1b\[3\dm", "".join(lines))


def test_long_has_the_reasons_and_the_chart(audited: Path) -> None:
    done = truecount("flags", "--from", str(audited), "--long", "--target", "v1")
    assert "ARTIFICIAL opened: views of v1 since 2026-01-05 19:34:50 UTC" in done.stdout
    assert "   - because of odd_watch_time  (p = 1e-05)" in done.stdout
    assert "█" in done.stdout


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--since", "2026-01-05T19:34:50Z"], ["aaaa1111"]),
        (["--since", "2026-01-05T20:34:50+01:00"], ["aaaa1111"]),
        (["--until", "2026-01-05T19:34:50Z"], ["bbbb2222", "cccc3333"]),
        (["--since", "2026-01-05 17:40", "--until", "2026-01-05 18:00"], ["bbbb2222", "cccc3333"]),
        (["--until", "1s"], ["bbbb2222", "cccc3333", "aaaa1111"]),
        (["--target", "v1"], ["aaaa1111"]),
        (["--target", "v1", "--target", MIXED[2]["target"]], ["cccc3333", "aaaa1111"]),
        (["--metric", "like"], ["cccc3333"]),
        (["--verdict", "suspect", "--verdict", "explained"], ["bbbb2222", "cccc3333"]),
        (["--status", "closed"], ["cccc3333"]),
        (["--score", "40"], ["bbbb2222", "aaaa1111"]),
    ],
)
def test_flags_are_selected(audited: Path, options: list[str], shown: list[str]) -> None:
    assert ids(audited, *options) == shown


def test_json_is_selected_too(audited: Path) -> None:
    done = truecount("flags", "--from", str(audited), "--json", "--metric", "like")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [MIXED[2]]


def test_the_newest_revision_is_what_is_selected(tmp_path: Path) -> None:
    write(tmp_path, [flag("aaaa1111", 1, verdict="suspect"), flag("aaaa1111", 2)])
    assert ids(tmp_path, "--verdict", "artificial") == ["aaaa1111"]
    done = truecount("flags", "--from", str(tmp_path), "--verdict", "suspect")
    assert (done.stdout, done.returncode) == ("", 0)
    assert done.stderr == f"truecount: none of the 1 flags in {tmp_path} is selected by these options\n"


def test_a_span_is_before_now() -> None:
    now = ONSET
    assert [moment(text, now) for text in ("30s", "90m", "1.5h", "7d", "1w")] == [
        now - 30_000,
        now - 90 * 60_000,
        now - 90 * 60_000,
        now - 168 * HOUR_MS,
        now - 168 * HOUR_MS,
    ]


def test_where_there_is_nothing_the_reason_is_said(audited: Path) -> None:
    unknown = truecount("flags", "--from", str(audited), "--target", "v9")
    assert (unknown.stdout, unknown.returncode) == ("", 0)
    assert unknown.stderr == f"truecount: no such target: {audited} has 3 flags, and none of v9\n"
    write(audited, [])
    for options in ([], ["--json"], ["--target", "v9"]):
        done = truecount("flags", "--from", str(audited), *options)
        assert (done.stdout, done.returncode) == ("", 0)
        assert done.stderr == f"truecount: none yet: {audited} has no flags\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--since", "2x"], "--since '2x' is no time; give ISO 8601"),
        (["--until", "yesterday"], "--until 'yesterday' is no time"),
        (["--verdict", "bought"], "--verdict 'bought' is unknown; it is one of artificial, suspect, explained"),
        (["--metric", "views"], "--metric 'views' is unknown; it is one of view, like, follow"),
        (["--status", "open"], "--status 'open' is unknown; it is one of opened, updated, closed"),
    ],
)
def test_a_wrong_option_is_a_sentence(audited: Path, options: list[str], said: str) -> None:
    done = truecount("flags", "--from", str(audited), *options)
    assert done.returncode == 2
    assert done.stderr.startswith(f"truecount: {said}")


def test_a_directory_without_flags_is_refused_with_a_sentence(tmp_path: Path) -> None:
    for words in (["--from", str(tmp_path / "nowhere")], ["--from", str(tmp_path), "--follow"]):
        error = CliRunner().invoke(app, ["flags", *words]).exception
        assert isinstance(error, SettingsError)
        assert str(error)


@given(
    target=st.text(max_size=80),
    width=st.integers(75, 250),
    known=st.booleans(),
    removed=st.integers(0, 10**6),
    codes=st.lists(st.sampled_from(CODES), max_size=4),
)
def test_any_flag_fits_into_its_line(target: str, width: int, known: bool, removed: int, codes: list[str]) -> None:
    each = flag(
        "ab" * 16,
        1,
        target=target,
        observed=removed,
        artificial={"value": removed},
        reasons=[{"code": code} for code in codes],
    )
    layout = Layout(width, [each] if known else [])
    line = "".join(cell.text for cell in layout.cells(each))
    assert cell_len(line) <= width
    assert line.isprintable()
    assert len(layout.head()) <= width
    fields = fields_of(each)
    assert len(fields) == len(FIELDS)
    assert all(text.isprintable() for text in fields)
