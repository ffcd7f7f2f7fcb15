"""The commands on actors, from the directory of an offline replay."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from detectors.events.event import Event
from tests.command import truecount
from tests.crowds import START_MS, in_order, ordinary

ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an offline replay with two robots, and an account that replays a clip."""
    directory = tmp_path_factory.mktemp("audited")
    robots = [
        Event(ts=START_MS + 9_000 * n, actor=f"robot {n % 2}", target=f"v{n % 7}", user_agent=ROBOT) for n in range(90)
    ]
    replays = [
        Event(ts=START_MS + 60_000 * n, actor="replayer", target="v1", watch_ms=20_000, duration_ms=20_000)
        for n in range(60)
    ]
    events = in_order(ordinary(1, minutes=20, targets=6), robots, replays)
    lines = [msgspec.json.encode(msgspec.structs.replace(event, metric="view")) for event in events]
    (directory / "recorded.ndjson").write_bytes(b"\n".join(lines))
    done = truecount(
        "replay",
        str(directory / "recorded.ndjson"),
        *("--offline", "--out", str(directory), "--json"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rulings"] == {"declared_robot": 2}
    return directory


def test_rulings_are_listed_a_line_each(audited: Path) -> None:
    done = truecount("actors", "--from", str(audited))
    head, *rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert head == ["actor", "ruling", "score", "since", "until", "reasons"]
    assert [row[:3] for row in rows] == [["robot 0", "declared_robot", "100"], ["robot 1", "declared_robot", "100"]]
    limited = truecount("actors", "--from", str(audited), "--json", "--limit", "1")
    assert [json.loads(line)["actor"] for line in limited.stdout.splitlines()] == ["robot 0"]


def test_a_selection_that_is_empty_is_a_sentence(audited: Path) -> None:
    done = truecount("actors", "--from", str(audited), "--kind", "seller")
    assert done.returncode == 0
    assert done.stdout == ""
    assert "none of them is selected by these options" in done.stderr


def test_one_actor_on_a_screen(audited: Path) -> None:
    done = truecount("actor", "robot 1", "--from", str(audited))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("robot 1: declared robot, score 100 of 100, since ")
    assert "acts     45 views, 0 undone" in done.stdout
    assert len(done.stdout.splitlines()) < 30
    found = json.loads(truecount("actor", "robot 1", "--from", str(audited), "--json").stdout)
    assert found["ruling"]["reasons"]
    assert found["profile"]["acts"]["view"] == 45


def test_an_account_that_replays_a_target_by_a_program(audited: Path) -> None:
    done = truecount("actor", "replayer", "--from", str(audited))
    assert done.stdout.startswith("replayer: no ruling\n"), done.stderr
    assert "replays  it replayed v1 " in done.stdout
    assert "60 s apart at last with 20 s watched" in done.stdout
    counts = [json.loads(line) for line in (audited / "audited-counts.ndjson").read_text().splitlines()]
    last = {count["target"]: count for count in counts}["v1"]
    assert 1 <= last["invalid"]["automated_replay"] <= 48


def test_an_actor_of_whom_nothing_is_known_is_a_failure(audited: Path) -> None:
    done = truecount("actor", "nobody", "--from", str(audited))
    assert done.returncode == 1
    assert "nothing is known of nobody" in done.stderr


def test_without_the_role_the_commands_say_how_to_switch_it_on(tmp_path: Path) -> None:
    config = tmp_path / "off.toml"
    config.write_text("[actors]\nenabled = false\n")
    for command in (["actors"], ["actor", "a"], ["forget", "a"]):
        done = truecount(*command, "--config", str(config))
        assert done.returncode == 2, done.stderr
        assert "actors" in done.stderr
    missing = truecount("actors", "--from", str(tmp_path))
    assert missing.returncode == 2
    assert "actors.enabled = true" in missing.stderr
    worker = truecount("worker", "--roles", "actors", "--config", str(config))
    assert worker.returncode == 2
    assert "set actors.enabled = true" in worker.stderr
