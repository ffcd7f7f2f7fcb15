"""Which tests are chosen for a change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.mutants.measured import Measured
from tests.mutants.sites import Site

FAR, NEAR, SHARING = "tests/detectors/test_far.py", "tests/detectors/state/test_some.py", "tests/test_sharing.py"
TESTS = {f"{FAR}::quick": 0.1, f"{NEAR}::slow": 5.0, f"{FAR}::failing": 0.1, f"{SHARING}::a": 1.0, f"{SHARING}::b": 0.0}
CODE = "LIMIT = 3\n\ndef some(a):\n    return a < LIMIT\n"


@pytest.fixture
def measured(tmp_path: Path) -> Measured:
    for path, text in ((FAR, ""), (NEAR, ""), (SHARING, "@cache\n"), ("detectors/state/some.py", CODE)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    part = {
        "seconds": TESTS,
        "failed": [f"{FAR}::failing"],
        "lines": {"detectors/state/some.py": {"3": [], "4": [0, 1, 2, 3]}},
    }
    (tmp_path / "part.json").write_text(json.dumps(part))
    return Measured(tmp_path, [tmp_path / "part.json"])


def site(line: int, *, name: str | None = None, body: bool = True) -> Site:
    return Site("detectors/state/some.py", line, 0, 0, "", "", name, body)


def test_the_file_of_tests_that_mirrors_the_code_is_first_and_then_the_quickest(measured: Measured) -> None:
    assert [chosen.path for chosen in measured.choose(site(4))] == [NEAR, FAR, SHARING]


def test_a_test_that_fails_without_a_change_is_not_asked(measured: Measured) -> None:
    assert f"{FAR}::failing" not in [test for chosen in measured.choose(site(4)) for test in chosen.tests]


def test_tests_that_share_what_they_compute_are_chosen_together(measured: Measured) -> None:
    assert measured.choose(site(4))[-1].tests == [f"{SHARING}::a", f"{SHARING}::b"]


def test_a_constant_is_asked_of_the_tests_that_run_where_its_name_is(measured: Measured) -> None:
    assert measured.choose(site(3)) == []
    assert measured.choose(site(1, name="LIMIT", body=False)) == measured.choose(site(4))


def test_a_line_within_a_statement_is_that_of_its_beginning(measured: Measured) -> None:
    assert measured.choose(site(6)) == measured.choose(site(4))
