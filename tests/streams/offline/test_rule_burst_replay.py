"""A recorded file with robots on one target: an offline replay flags the rule, and the commands show it in words."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from streams.cli import app
from tests.crowds import MINUTE_MS, START_MS, in_order, ordinary
from tests.robots import robots


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """The directory of the replay, and its summary."""
    directory = tmp_path_factory.mktemp("replayed")
    events = in_order(ordinary(1, minutes=120), robots(2, "v3", begin=START_MS + 80 * MINUTE_MS))
    file = directory / "views.ndjson"
    file.write_bytes(b"\n".join(msgspec.json.encode(msgspec.structs.replace(event, metric="view")) for event in events))
    said = shown("replay", str(file), "--offline", "--out", str(directory / "out"), "--json")
    return directory / "out", json.loads(said.strip().splitlines()[-1])


def test_the_summary_counts_it_and_not_as_a_flag(out: tuple[Path, dict[str, int]]) -> None:
    _, summary = out
    assert (summary["rule_bursts"], summary["flags"], summary["corrections"]) == (1, 0, 0)
    assert summary["invalid"]["declared_robot"] == 1200  # type: ignore[index]  # one of its values is a dict


def test_the_flags_have_a_line_for_it(out: tuple[Path, dict[str, int]]) -> None:
    (line,) = shown("flags", "--from", str(out[0])).splitlines()
    assert {"rule", "closed", "view", "v3", "1200", "declared_robot"} <= set(line.split())


def test_an_explanation_says_in_words_what_was_removed_and_why_nothing_is_corrected(
    out: tuple[Path, dict[str, int]],
) -> None:
    first = json.loads((out[0] / "flagged-events.ndjson").read_text().splitlines()[0])
    text = " ".join(shown("explain", first["flag_id"][:8], "--from", str(out[0])).split())
    assert "RULE closed: views of v3 since 2023-11-15" in text
    assert "1,200 removed by rules where" in text
    assert "are usual; they were never valid, so nothing is corrected" in text
    assert "1,200 events of declared robots, where" in text
    assert "no correction belongs to them" in text
    assert "how fast they came" in text
