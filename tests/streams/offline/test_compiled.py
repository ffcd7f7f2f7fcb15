"""Detection compiled by ``make compiled`` writes what the sources write, byte for byte."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from bench.compiled import compiled_python
from bench.measured import PartError
from bench.real_days import DAY
from bench.testbed.workers import clean_environment
from tests.streams.offline.test_processes import lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of the environment with compiled detection."""
    try:
        return compiled_python()
    except PartError as error:
        pytest.skip(str(error))


def test_what_decides_is_compiled(python: Path, tmp_path: Path) -> None:
    code = "from detectors import judge, tick_entry; print(judge.__file__, tick_entry.__file__)"
    done = _run(tmp_path, python, "-c", code)
    assert [Path(name).suffix for name in done.stdout.split()] == [".so", ".so"]


@pytest.mark.parametrize("traffic", ["attack", "day"])
def test_it_writes_the_same_bytes(traffic: str, python: Path, tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.ndjson"
    events = lines() if traffic == "attack" else itertools.chain.from_iterable(DAY.shortened(0.03).chunks())
    recorded.write_bytes(b"\n".join(events) + b"\n")

    written = []
    for name, interpreter in (("sources", Path(sys.executable)), ("compiled", python)):
        options = ("--offline", "--allow-bad", "--out", name)
        _run(tmp_path, interpreter, "-m", "streams.cli", "replay", recorded, *options)
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})

    sources, compiled = written
    assert sources.keys() == compiled.keys()
    assert sum(map(len, sources.values())) > 10_000
    assert [name for name, content in sources.items() if compiled[name] != content] == []


def _run(directory: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command with the packages of its own environment."""
    environment = {name: value for name, value in clean_environment().items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done
