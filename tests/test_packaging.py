"""What is released agrees with itself: version, changelog, Pythons, distributions, hooks and workflow."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.deploy.yaml_texts import read

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CLASSIFIED = [one.rsplit(" ", 1)[1] for one in PROJECT["classifiers"] if re.search(r":: Python :: 3\.\d+$", one)]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel and a source distribution of this tree."""
    directory = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(directory)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    return directory


def test_the_newest_version_in_the_changelog_is_the_package_s() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert released[0] == PROJECT["version"]
    assert headings[0] in ("Unreleased", released[0])


def test_a_version_begins_with_what_to_do_before_an_upgrade() -> None:
    newest = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]
    assert re.findall(r"^### (.+)", newest, re.MULTILINE)[0] == "Before you upgrade"


def test_the_classifiers_the_makefile_and_the_workflow_name_the_same_pythons() -> None:
    low, high = re.findall(r"\(3, (\d+)\) <= sys\.version_info\[:2\] <= \(3, (\d+)\)", (ROOT / "Makefile").read_text())[
        0
    ]
    assert [f"3.{minor}" for minor in range(int(low), int(high) + 1)] == CLASSIFIED
    matrix = re.findall(r"python: \[(.+)\]", (ROOT / ".github/workflows/ci.yml").read_text())[0]
    assert re.findall(r"3\.\d+", matrix) == CLASSIFIED
    assert PROJECT["requires-python"] == f">={CLASSIFIED[0]}"


def test_the_workflow_runs_what_ci_runs_with_actions_pinned_by_commit() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    assert "run: .ci/run" in text
    used = re.findall(r"uses: \S+@(\S+)", text)
    assert used
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for commit in used)


def test_the_pre_commit_hook_is_make_check() -> None:
    hooks = [hook for repo in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert [hook["entry"] for hook in hooks] == ["make check"]


def test_an_index_refuses_an_upload() -> None:
    assert "Private :: Do Not Upload" in PROJECT["classifiers"]


def test_the_source_distribution_has_the_packages_and_no_tests(distributions: Path) -> None:
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        names = {Path(*Path(name).parts[1:]) for name in archive.getnames()}
    folders = {name.parts[0] for name in names if len(name.parts) > 1}
    assert folders == {"streams", "detectors"}
    assert {Path("LICENSE"), Path("README.md"), Path("CHANGELOG.md"), Path("pyproject.toml")} <= names


def test_the_wheel_has_every_module_the_types_marker_and_the_data(distributions: Path) -> None:
    with zipfile.ZipFile(next(distributions.glob("*.whl"))) as archive:
        packed = {name for name in archive.namelist() if not name.partition("/")[0].endswith(".dist-info")}
    tracked = subprocess.run(
        ["git", "ls-files", "streams", "detectors"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(tracked) <= packed
    assert {"streams/py.typed", "detectors/py.typed"} <= packed
