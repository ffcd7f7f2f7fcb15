"""`truecount flags --from`: the flags of an offline replay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from streams.cli import app
from streams.settings.section import SettingsError


def flag(ident: str, revision: int) -> dict[str, Any]:
    """A flag as an offline replay writes it."""
    return {
        "flag_id": ident,
        "revision": revision,
        "status": "open",
        "verdict": "artificial",
        "metric": "view",
        "target": "v1",
        "onset": 1767634490000,
        "score": 90,
        "observed": 100,
        "expected": {"value": 2, "low": 0, "high": 9},
        "artificial": {"value": 90, "low": 80, "high": 100},
        "reasons": [],
    }


def test_the_newest_revision_of_each_flag_of_a_directory_is_shown(tmp_path: Path) -> None:
    flags = [flag("aaaa1111", 1), flag("bbbb2222", 1), flag("aaaa1111", 2)]
    (tmp_path / "flagged-events.ndjson").write_text("".join(json.dumps(each) + "\n" for each in flags))
    shown = CliRunner().invoke(app, ["flags", "--from", str(tmp_path), "--json"])
    assert shown.exit_code == 0, shown.output
    found = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [(each["flag_id"], each["revision"]) for each in found] == [("aaaa1111", 2), ("bbbb2222", 1)]
    every = CliRunner().invoke(app, ["flags", "--from", str(tmp_path), "--json", "--revisions"])
    assert len(every.stdout.splitlines()) == 3


def test_a_directory_without_flags_is_refused_with_a_sentence(tmp_path: Path) -> None:
    for words in (["--from", str(tmp_path / "nowhere")], ["--from", str(tmp_path), "--follow"]):
        error = CliRunner().invoke(app, ["flags", *words]).exception
        assert isinstance(error, SettingsError)
        assert str(error)
