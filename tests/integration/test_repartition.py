"""More partitions on a real Kafka: counts, duplicates and cases go on as if nothing had happened."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import Installation, install
from detectors.events.event import Event
from streams.settings.settings import load
from tests.command import truecount as command_line
from tests.crowds import HISTORY_MINUTES, MINUTE_MS, START_MS, bought, in_order, ordinary

Unique = Callable[[str], str]
BURST_MS = START_MS + HISTORY_MINUTES * MINUTE_MS


def encoded(events: Iterable[Event]) -> list[bytes]:
    """As the platform sends them."""
    return [msgspec.json.encode(event) for event in events]


def configure(truecount: Installation, into: str, partitions: int) -> None:
    """Do what the command says at its end."""
    text = truecount.config.read_text()
    text = text.replace(
        "partitions = 2\n", f'partitions = {partitions}\nlog_prefix = "{into}"\nstate_prefix = "{into}"\n'
    )
    truecount.config.write_text(text)
    truecount.settings = load(truecount.config, {})


@pytest.mark.timeout(240)
def test_counts_duplicates_and_cases_go_on_over_a_repartition(
    kafka: BrokerAddress, tmp_path: Path, unique: Unique
) -> None:
    truecount = install(kafka, tmp_path, unique, metrics=["view"], tick_seconds=10)
    views = truecount.inputs["view"]
    before = in_order(ordinary(1, ids=True), bought(2, "v3", begin=BURST_MS - 8 * MINUTE_MS, ids=True))
    later = in_order(ordinary(3, minutes=15, start=BURST_MS), bought(4, "v5", begin=BURST_MS + 5 * MINUTE_MS))
    again = before[-300:]
    command = ["--config", str(truecount.config), "--partitions", "4", "--into", unique("grown")]
    into = f"{command[-1]}."

    with truecount.worker() as worker:
        truecount.send(views, encoded(before))
        truecount.wait_drained(len(before))
        refused = command_line("repartition", *command)
        assert refused.returncode == 1
        assert "stop all of them first" in refused.stderr
        truecount.send(views, encoded(later[:1000]))
        worker.wait_for(
            lambda: worker.metrics()[f'truecount_records_total{{role="ingest",topic="{views}"}}'] > len(before),
            "read on",
        )
    # Stopped with open ticks, waiting windows, and what ingest wrote that nobody has audited.
    stood = truecount.counts()

    done = command_line("repartition", *command, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["targets"] >= len(stood)
    assert summary["sources"] == 2
    old = truecount.start(name="old-configuration")
    old.wait_for(lambda: "has moved: set log_prefix" in old.log.read_text(), "be told that the state has moved", 60)
    old.stop()
    again_done = command_line("repartition", *command, "--json")
    assert again_done.returncode == 0, again_done.stderr
    assert json.loads(again_done.stdout)["targets"] == 0, "there is nothing left to do"

    configure(truecount, into, 4)
    expected = Counter(event.target for event in [*before, *later, *again])
    with truecount.worker(name="grown") as worker:
        assert worker.counted("view", "valid") > 0
        truecount.send(views, encoded(again))
        truecount.send(views, encoded(later[1000:]))
        truecount.wait_drained(sum(expected.values()))
    with truecount.worker(name="restarted") as worker:
        worker.wait_for(lambda: worker.metrics()['truecount_tasks{role="targets"}'] == 4, "restore")
        restored = sum(v for name, v in worker.metrics().items() if name.startswith("truecount_counted_events"))
    counts = truecount.counts()
    assert {target: count["raw"] for (target, _), count in counts.items()} == expected
    duplicates = {t: count["invalid"].get("duplicate_id", 0) for (t, _), count in counts.items()}
    assert {t: n for t, n in duplicates.items() if n} == Counter(event.target for event in again)
    assert restored == sum(expected.values())
    flags = [json.loads(record.value) for record in truecount.records(truecount.topics.flagged_events)]
    told = [(flag["flag_id"], flag["revision"]) for flag in flags]
    assert len(told) == len(set(told))
    assert {flag["target"] for flag in flags} >= {"v3", "v5"}
    assert not [flag for flag in flags if flag["status"] == "opened" and flag["revision"] > 1]
    corrections = [
        json.loads(record.value)["correction_id"] for record in truecount.records(truecount.topics.corrections)
    ]
    assert len(corrections) == len(set(corrections))


@pytest.mark.timeout(240)
def test_who_follows_is_known_over_a_repartition(kafka: BrokerAddress, tmp_path: Path, unique: Unique) -> None:
    truecount = install(kafka, tmp_path, unique, metrics=["follow"], tick_seconds=10)
    follows = truecount.inputs["follow"]
    targets = [f"c{number}" for number in range(12)]

    def acts(begin: int, actors: range, *, undo: bool = False) -> list[bytes]:
        pairs = [(target, actor) for actor in actors for target in targets]
        return encoded(
            Event(ts=begin + number, actor=f"a{actor}", target=target, metric="follow", undo=undo)
            for number, (target, actor) in enumerate(pairs)
        )

    with truecount.worker():
        truecount.send(follows, acts(START_MS, range(60)))
        truecount.wait_drained(60 * len(targets))
    into = unique("grown")
    done = command_line("repartition", "--config", str(truecount.config), "--partitions", "4", "--into", into, "--json")
    assert done.returncode == 0, done.stderr
    configure(truecount, f"{into}.", 4)
    with truecount.worker(name="grown"):
        truecount.send(follows, acts(START_MS + MINUTE_MS, range(50, 70)))
        truecount.send(follows, acts(START_MS + 2 * MINUTE_MS, range(40, 45), undo=True))
        truecount.send(follows, acts(START_MS + 2 * MINUTE_MS, range(70, 80), undo=True))
        truecount.send(follows, acts(START_MS + 3 * MINUTE_MS, range(80, 81)))
        truecount.wait_drained(81 * len(targets))
    counts = truecount.counts()
    invalid = {"already_counted": 10, "undone": 5}
    assert {target: (count["valid"], count["invalid"]) for (target, _), count in counts.items()} == dict.fromkeys(
        targets, (60 + 10 - 5 + 1, invalid)
    )


def test_a_number_that_is_no_multiple_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "truecount.toml"
    config.write_text("partitions = 8")
    done = command_line("repartition", "--config", str(config), "--partitions", "12", "--into", "new")
    assert done.returncode == 2
    assert "must be a multiple of the current 8" in done.stderr
