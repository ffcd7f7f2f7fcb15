"""Whether a change is noticed, in a tree of one file and its tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.server import FAULT, KILLED, SURVIVED, TIMEOUT

ROOT = Path(__file__).parent.parent.parent
SOURCE = "def fits(number): return number < 3\n"
TESTS = """
import subject

def test_three_does_not_fit():
    assert not subject.fits(3)

def test_one_fits():
    assert subject.fits(1)
"""
BOTH = ["test_subject.py::test_one_fits", "test_subject.py::test_three_does_not_fit"]


@pytest.mark.parametrize(
    ("source", "tests", "verdict", "by"),
    [
        (SOURCE, BOTH, SURVIVED, ""),
        (SOURCE.replace("<", "<="), BOTH, KILLED, BOTH[1]),
        (SOURCE.replace("<", "<="), BOTH[:1], SURVIVED, ""),
        ("while True: pass\n", BOTH, TIMEOUT, ""),
        ("import os; os.abort()\n", BOTH, KILLED, "the process died"),
        ("fits = nobody\n", BOTH, KILLED, "test_subject.py"),
        (SOURCE, ["test_subject.py::test_that_is_not_there"], FAULT, "pytest ended with 5, after 0 tests"),
    ],
    ids=["no change", "noticed", "not asked", "without end", "a crash", "not imported", "no test"],
)
def test_a_change_is_noticed_by_the_first_of_the_chosen_tests_that_fails(
    source: str, tests: list[str], verdict: str, by: str, tmp_path: Path
) -> None:
    (tmp_path / "subject.py").write_text(SOURCE)
    (tmp_path / "test_subject.py").write_text(TESTS)
    job = {"path": "subject.py", "source": source, "tests": tests, "limit_seconds": 20 if verdict != TIMEOUT else 5}
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants.server"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        input=json.dumps(job) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    assert (answer["verdict"], answer["by"]) == (verdict, by)
    assert (tmp_path / "subject.py").read_text() == SOURCE
