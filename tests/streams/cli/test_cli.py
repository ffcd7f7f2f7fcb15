"""The command line: help with an example, JSON alone on stdout, sentences and exit codes."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bench.testbed.brokers import free_port
from bench.testbed.workers import run_cli
from streams.cli import app
from tests.command import truecount

COMMANDS = [
    ["worker"],
    ["broker"],
    ["topics", "create"],
    ["simulate"],
    ["replay"],
    ["map", "suggest"],
    ["map", "try"],
    ["flags"],
    ["backtest"],
    ["explain"],
    ["counts"],
    ["actors"],
    ["actor"],
    ["forget"],
    ["config", "check"],
    ["demo"],
    ["doctor"],
    ["acls"],
    ["rebuild"],
    ["repartition"],
]
CSV = "when,who,page\n2024-05-01T12:00:00,ann,p1\n2024-05-01T12:00:01,bob,p1\nnever,cem,p1\n"
MAP = """
[file]
format = "csv"
[map]
metric = {value = "like"}
ts = {path = "when", time = "iso"}
actor = "who"
target = "page"
"""


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[str, str]:
    """A recorded file and its map."""
    (tmp_path / "likes.csv").write_text(CSV)
    (tmp_path / "map.toml").write_text(MAP)
    return str(tmp_path / "likes.csv"), str(tmp_path / "map.toml")


def all_of(commands: list[list[str]]) -> list[subprocess.CompletedProcess[str]]:
    """Run commands side by side: most of a command's time is waiting."""
    with ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(lambda command: run_cli(*command, seconds=100), commands))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_shows_an_example_in_its_help(command: list[str]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0, shown.output
    assert f"Example: truecount {' '.join(command)}" in " ".join(shown.stdout.split())


def test_the_command_as_a_process_lists_what_there_is() -> None:
    done = run_cli("--help")
    assert done.returncode == 0, done.stderr
    assert {command[0] for command in COMMANDS} <= set(done.stdout.split())


def test_the_list_of_commands_here_is_complete() -> None:
    group: Any = typer.main.get_command(app)
    found: list[list[str]] = []
    for name in group.list_commands(None):
        below = getattr(group.get_command(None, name), "commands", None)
        found += [[name]] if below is None else [[name, each] for each in below]
    assert sorted(found) == sorted(COMMANDS)


@pytest.mark.timeout(300)
def test_a_broker_that_is_away_is_one_sentence_and_exit_code_3(recorded: tuple[str, str]) -> None:
    file, layout = recorded
    away = ["--servers", f"127.0.0.1:{free_port()}"]
    commands = [
        ["topics", "create", *away],
        ["flags", *away, "--json"],
        ["counts", *away],
        ["simulate", *away, "--json"],
        ["replay", file, "--map", layout, *away, "--json"],
    ]
    for command, done in zip(commands, all_of(commands), strict=True):
        assert done.returncode == 3, (command, done.stderr)
        assert done.stdout == "", command
        assert done.stderr.startswith("truecount: 127.0.0.1:"), command
        assert "nothing listens on this port" in done.stderr, command
        assert done.stderr.count("\n") == 1, command


def test_the_doctor_says_what_is_wrong_and_exits_with_1() -> None:
    done = truecount("doctor", "--servers", f"127.0.0.1:{free_port()}", "--json")
    assert done.returncode == 1
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert findings["python"]["ok"]
    assert not findings["broker"]["ok"]
    assert "nothing listens on this port" in findings["broker"]["said"]
    assert done.stderr == ""


def test_the_doctor_names_a_state_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = tmp_path / "truecount.toml"
    config.write_text(f'[broker]\nservers = "127.0.0.1:{free_port()}"\n[state]\ndirectory = "{tmp_path}/file/state"\n')
    done = truecount("doctor", "--config", str(config), "--json")
    (found,) = (finding for finding in json.loads(done.stdout) if finding["what"] == "state directory")
    assert not found["ok"]
    assert found["said"] == f"{tmp_path}/file is a file; state.directory must be a directory"


def test_an_offline_replay_prints_json_alone(recorded: tuple[str, str], tmp_path: Path) -> None:
    file, layout = recorded
    out = tmp_path / "out"
    done = run_cli("replay", file, "--map", layout, "--offline", "--out", str(out), "--allow-bad", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["records"], summary["raw"], summary["dead_letters"]) == (3, 2, 1)
    last = json.loads((out / "audited-counts.ndjson").read_text().splitlines()[-1])
    assert (last["target"], last["metric"], last["raw"]) == ("p1", "like", 2)
    assert json.loads((out / "dead-letters.ndjson").read_text())["reason"]


def test_a_configuration_is_checked_by_the_code_that_reads_it(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text("partitions = 4\n")
    bad.write_text("[time]\ntick_secnods = 10\n")
    answered, refused, broken = (
        truecount("config", "check", str(good), "--json"),
        truecount("config", "check", str(bad), "--json"),
        truecount("worker", "--config", str(bad)),
    )
    assert answered.returncode == 0
    assert json.loads(answered.stdout)["ok"] is True
    for done in (refused, broken):
        assert done.returncode == 2
        assert done.stdout == ""
        assert "time.tick_secnods" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["replay", "FILE", "--map", "MAP", "--offline"], "add --out DIR"),
        (["replay", "nowhere.csv", "--map", "MAP", "--offline", "--out", "OUT"], "cannot read nowhere.csv"),
        (["worker", "--roles", "judge"], "unknown role judge"),
        (["worker", "--log-level", "LOUD"], "--log-level LOUD"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_2(recorded: tuple[str, str], command: list[str], said: str) -> None:
    file, layout = recorded
    done = truecount(*({"FILE": file, "MAP": layout}.get(word, word) for word in command))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
