"""The compared parts run with the detectors of a fixed commit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench import measured
from bench.earlier import earlier_tree
from bench.measured import PartError


def test_the_earlier_modules_import_the_earlier_detectors(tmp_path: Path) -> None:
    tree = earlier_tree(tmp_path / "earlier")
    text = "import bench.per_message, detectors, streams; print(detectors.__file__); print(streams.__file__)"
    (tree / "bench" / "where.py").write_text(text)
    line = measured.last_line_of("where", deadline_seconds=60, python=sys.executable, root=tree)
    assert Path(line.decode()).is_relative_to(tree)


def test_a_history_without_the_commit_is_named(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    with pytest.raises(PartError, match="which the history here does not have"):
        earlier_tree(tmp_path / "earlier", root=tmp_path)


def test_a_machine_without_git_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PartError, match="git is not installed"):
        earlier_tree(tmp_path / "earlier")
