"""The little YAML reader refuses what it does not know rather than read it wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.small_yaml import read


def test_it_reads_what_our_files_use(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text('# c\na:\n  - b: "x: y"\n    c: |\n      one\n      two\n  - d\ne: [f, {g: "1", h: 2}]\ni:\n')
    assert read(file) == {
        "a": [{"b": "x: y", "c": "one\ntwo"}, "d"],
        "e": ["f", {"g": "1", "h": "2"}],
        "i": None,
    }


@pytest.mark.parametrize("text", ["a: &b c", "a: *b", "a: b\na: c", "a: >\n  b", "a:\tb", "a: b # c", "a: !t b"])
def test_it_refuses_the_rest(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.yml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"cannot read|stands twice|a tab"):
        read(file)
