"""No command shows a traceback: an error that nobody foresaw is one sentence, a report, and exit code 70."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.testbed.workers import CLI
from streams.cli import COMMANDS, INTERNAL_ERROR
from streams.cli.crash import DIRECTORY, without_secrets

INJECTED = """
import importlib, sys, typer
from streams import cli

def broken(*args, **kwargs):
    {error}

real = importlib.import_module

def imported(name):
    module = real(name)
    if name.startswith("streams.cli.") and name != "streams.cli.crash":
        {where}
    return module

cli.import_module = imported
sys.argv[1:] = {arguments}
cli.main()
"""
ON_IMPORT = "broken()"
IN_THE_COMMAND = """module.add = lambda room: [room.command(each)(lambda: broken()) for each in ["x", {name!r}]]"""
ERRORS = {
    "an error": "raise RuntimeError('the sky\\nfalls')",
    # Not by the function itself: CPython 3.13.0 never ends a recursion of a function with *args and **kwargs.
    "recursion without end": "again = lambda: again(); again()",
    "an exit code of an interpreter": "raise MemoryError()",
}


def run(program: str, reports: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={DIRECTORY: str(reports), "PATH": "", **environ},
    )


def ended_well(done: subprocess.CompletedProcess[str], reports: Path) -> str:
    """One sentence and code 70; answers the report."""
    assert done.returncode == INTERNAL_ERROR, (done.returncode, done.stderr)
    assert done.stdout == ""
    assert done.stderr.startswith("truecount: internal error: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    (report,) = reports.glob("truecount-report-*.txt")
    assert str(report) in done.stderr
    text = report.read_text()
    assert "Traceback (most recent call last)" in text
    assert "python: 3." in text
    return text


@pytest.mark.parametrize("name", COMMANDS)
def test_an_error_in_any_command_is_one_sentence_and_a_report(name: str, tmp_path: Path) -> None:
    where = IN_THE_COMMAND.format(name=name)
    program = INJECTED.format(error=ERRORS["an error"], where=where, arguments=[name])
    text = ended_well(run(program, tmp_path), tmp_path)
    assert f"command: truecount {name}\n" in text
    assert "the sky" in text


@pytest.mark.parametrize("name", sorted(set(COMMANDS) & {"worker", "replay", "config"}))
def test_an_error_while_a_command_is_imported_is_one_too(name: str, tmp_path: Path) -> None:
    program = INJECTED.format(error=ERRORS["an error"], where=ON_IMPORT, arguments=[name, "--help"])
    ended_well(run(program, tmp_path), tmp_path)


@pytest.mark.parametrize("error", list(ERRORS.values()), ids=list(ERRORS))
def test_any_error_is_a_sentence(error: str, tmp_path: Path) -> None:
    program = INJECTED.format(error=error, where=IN_THE_COMMAND.format(name="demo"), arguments=["demo"])
    ended_well(run(program, tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("error", "code"), [("raise KeyboardInterrupt", 130), ("raise BrokenPipeError", 0), ("raise typer.Exit(1)", 1)]
)
def test_what_is_no_error_writes_no_report(error: str, code: int, tmp_path: Path) -> None:
    program = INJECTED.format(error=error, where=IN_THE_COMMAND.format(name="demo"), arguments=["demo"])
    done = run(program, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage_keeps_its_own_exit_code() -> None:
    done = subprocess.run([*CLI, "replay"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    error = "print('x' * 10_000_000); sys.stdout.flush()"
    program = INJECTED.format(error=error, where=IN_THE_COMMAND.format(name="demo"), arguments=["demo"])
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={DIRECTORY: str(tmp_path)}
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 0


def test_a_terminal_of_ascii_shows_other_characters_as_escapes(tmp_path: Path) -> None:
    program = INJECTED.format(
        error="print('v\\u00ebl\\u00f6')", where=IN_THE_COMMAND.format(name="demo"), arguments=["demo"]
    )
    done = run(program, tmp_path, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout, done.stderr) == (0, "v\\xebl\\xf6\n", "")


def test_where_no_report_can_be_written_the_sentence_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    program = INJECTED.format(error=ERRORS["an error"], where=ON_IMPORT, arguments=["demo"])
    done = run(program, tmp_path / "file" / "below")
    assert done.returncode == INTERNAL_ERROR
    assert "no report could be written" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_report_keeps_no_secrets() -> None:
    shown = without_secrets(["worker", "--password", "hidden", "--sasl-token=hidden", "-s", "sasl://me:hidden@host:1"])
    assert "hidden" not in " ".join(shown)
    assert "host:1" in shown[-1]


def test_a_fault_in_the_report_itself_is_a_sentence_too(tmp_path: Path) -> None:
    program = INJECTED.format(error=ERRORS["an error"], where=ON_IMPORT, arguments=["doctor"])
    program = program.replace(' and name != "streams.cli.crash"', "")
    done = run(program, tmp_path)
    assert (done.returncode, done.stdout) == (INTERNAL_ERROR, "")
    assert done.stderr.startswith("truecount: internal error (RuntimeError(")
    assert "Traceback" not in done.stderr
