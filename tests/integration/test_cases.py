"""Small inputs of real buses and exports give their correct result offline, and through a worker on a real Kafka."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import Installation
from streams.settings.settings import load
from tests.command import truecount
from tests.integration.cases import CASES, Case
from tests.integration.test_platforms import SETTINGS

TOPICS = [case for case in CASES if case.suffix == "ndjson"]
FILES = [case for case in CASES if case.suffix != "ndjson"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_offline_it_is_counted_as_it_should(case: Case, tmp_path: Path) -> None:
    source, out = tmp_path / f"input.{case.suffix}", tmp_path / "out"
    source.write_bytes(case.content)
    options = ["--map", str(_map(case, tmp_path))] if case.fields else []
    answer = truecount("replay", str(source), *options, "--offline", "--out", str(out), "--allow-bad", "--json")
    assert answer.returncode == 0, answer.stderr
    summary = json.loads(answer.stdout)
    assert _counts((out / "audited-counts.ndjson").read_bytes().splitlines()) == case.counts
    letters = [orjson.loads(line) for line in (out / "dead-letters.ndjson").read_bytes().splitlines()]
    assert Counter(letter["reason"] for letter in letters) == case.dead
    assert summary["skipped"] == case.skipped
    assert {name: sum(reasons.values()) for name, reasons in summary["unread"].items()} == case.unread
    assert (summary["late"], summary["flags"]) == (0, 0)


def test_online_they_are_counted_as_they_should(
    kafka: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    installed = _installed(kafka, tmp_path, unique("cases"))
    installed.make_topics()
    wanted = {key: counts for case in CASES for key, counts in case.counts.items()}
    with installed.worker() as worker:
        for case in TOPICS:
            topic = installed.inputs[case.name]
            installed.send(topic, [*case.content.splitlines(), None])
        for case in FILES:
            source = tmp_path / f"{case.name}.{case.suffix}"
            source.write_bytes(case.content)
            layout = ["--map", str(_map(case, tmp_path))]
            answer = truecount("replay", str(source), *layout, "--config", str(installed.config), "--allow-bad")
            assert answer.returncode == 0, answer.stderr
        installed.wait_drained(sum(raw for raw, _ in wanted.values()))
        shown = worker.metrics()
    counts = installed.records(installed.topics.audited_counts)
    assert _counts([record.value for record in counts]) == wanted
    letters = Counter(dict(r.headers)["reason"].decode() for r in installed.records(installed.topics.dead_letters))
    assert letters == sum((Counter(case.dead) for case in CASES), Counter())
    skipped = sum((Counter(case.skipped) for case in TOPICS), Counter({"tombstone": len(TOPICS)}))
    for reason, count in skipped.items():
        assert shown[f'truecount_skipped_records_total{{reason="{reason}"}}'] == count
    assert installed.records(installed.topics.flagged_events) == []


def _map(case: Case, directory: Path) -> Path:
    path = directory / f"{case.name}.toml"
    path.write_text(case.fields)
    return path


def _installed(broker: BrokerAddress, directory: Path, name: str) -> Installation:
    """A topic for each case of records, with its map, and one of native events that files are replayed into."""
    inputs = f'[[inputs]]\ntopic = "{name}-native"\n'
    for case in TOPICS:
        fields = case.fields.replace("[map]", "[inputs.map]")
        inputs += f'[[inputs]]\ntopic = "{name}-{case.name}"\n{fields}\n'
    config = directory / f"{name}.toml"
    broker_lines = f'[broker]\nservers = "{broker.servers}"\nsession_timeout_seconds = 6\n'
    config.write_text(SETTINGS.format(name=name, directory=directory) + broker_lines + inputs)
    settings = load(config, {})
    topics = {case.name: f"{name}-{case.name}" for case in TOPICS}
    return Installation(broker, directory, topics, config, settings)


def _counts(lines: list[bytes]) -> dict[tuple[str, str], tuple[int, int]]:
    """The newest raw and valid of each target and metric."""
    latest: dict[tuple[str, str], dict[str, int]] = {}
    for line in lines:
        count = orjson.loads(line)
        key = count["target"], count["metric"]
        if key not in latest or count["revision"] > latest[key]["revision"]:
            latest[key] = count
    return {key: (count["raw"], count["valid"]) for key, count in latest.items()}
