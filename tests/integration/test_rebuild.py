"""The log audited again on a real Kafka: the same under the same configuration, whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import Installation, Worker, install, run_cli
from streams.clock import SystemClock
from streams.kafka.topics import Topics
from streams.log.versions import decode
from streams.maintenance import rebuild as rebuilding
from streams.maintenance.rebuild import LogError, Start, parallel_settings, rebuild
from streams.settings.settings import load
from tests.crowds import HISTORY_MINUTES, MINUTE_MS, START_MS, bought, in_order, ordinary

Unique = Callable[[str], str]
Published = dict[str, list[list[bytes]]]

BURST_MS = START_MS + HISTORY_MINUTES * MINUTE_MS
OUTPUTS = ("flagged_events", "corrections", "audited_counts")


def crowd(ids: bool = True) -> list[bytes]:
    """An hour and a half of honest views, then a bought burst."""
    events = in_order(
        ordinary(1, minutes=HISTORY_MINUTES + 20, ids=ids), bought(2, "v3", begin=BURST_MS + MINUTE_MS, ids=ids)
    )
    return [msgspec.json.encode(event) for event in events]


def said(truecount: Installation, topics: Topics) -> Published:
    """What stands in the output topics: topic → partition → values in order."""
    everything: Published = {}
    for name in OUTPUTS:
        places: list[list[bytes]] = [[] for _ in range(truecount.settings.partitions)]
        for record in truecount.records(getattr(topics, name)):
            places[record.partition].append(record.value)
        everything[name] = places
    return everything


def flags(values: Published) -> list[dict[str, Any]]:
    """All flag revisions."""
    return [json.loads(value) for place in values["flagged_events"] for value in place]


def run(truecount: Installation, into: str, *options: str, config: Path | None = None) -> dict[str, Any]:
    """``truecount rebuild`` from the beginning, or as the options say."""
    start = () if "--from" in options else ("--from", "beginning")
    done = run_cli("rebuild", "--config", str(config or truecount.config), "--into", into, "--json", *start, *options)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def drain(truecount: Installation, workers: list[Worker], events: int) -> None:
    """All events counted, and the log read to its end."""
    truecount.wait_drained(events)
    ingest, *targets = workers
    ingest.stop()
    for worker in targets:
        worker.wait_for(lambda w=worker: lag(w) == 0, "read the log to its end")  # type: ignore[misc]  # bound on purpose
        worker.stop()


def lag(worker: Worker) -> float:
    """Records that a worker has still to take."""
    return sum(v for name, v in worker.metrics().items() if name.startswith("truecount_lag_records"))


@pytest.fixture(scope="module")
def audited(kafka: BrokerAddress, tmp_path_factory: pytest.TempPathFactory) -> tuple[Installation, Published]:
    """An installation that has audited a crowd, by a worker that ingests and two that judge, and what it said."""
    directory = tmp_path_factory.mktemp("audited")
    truecount = install(
        kafka, directory, lambda word: f"{word}-{uuid.uuid4().hex[:8]}", metrics=["view"], tick_seconds=10
    )
    values = crowd()
    workers = [truecount.start("--roles", role, name=role) for role in ("ingest", "targets", "targets")]
    for at in range(0, len(values), 1500):
        truecount.send(truecount.inputs["view"], values[at : at + 1500])
        time.sleep(0.5)  # so that the log has more than a frame or two
    drain(truecount, workers, len(values))
    live = said(truecount, truecount.topics)
    assert {flag["target"] for flag in flags(live)} == {"v3"}
    assert live["corrections"] != [[], []]
    return truecount, live


Audited = tuple[Installation, Published]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_configuration_says_the_same_byte_for_byte(audited: Audited, unique: Unique) -> None:
    truecount, live = audited
    into = unique("again")
    again = Topics.of(parallel_settings(truecount.settings, into))
    summary = run(truecount, into)
    assert said(truecount, again) == live
    assert summary["events"] == len(crowd())
    assert summary["config"] == truecount.settings.version()
    assert run(truecount, into)["frames"] == 0, "there is nothing left to do"
    assert said(truecount, again) == live


def test_a_rebuild_that_was_broken_off_goes_on(
    audited: Audited, unique: Unique, monkeypatch: pytest.MonkeyPatch
) -> None:
    truecount, live = audited
    settings = parallel_settings(load(truecount.config, {"TRUECOUNT_CHECKPOINT_SECONDS": "0.001"}), unique("broken"))
    monkeypatch.setattr(rebuilding, "BATCH_FRAMES", 3)
    looks = 0

    def fall(*_: int) -> None:
        nonlocal looks
        looks += 1
        if looks == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(rebuild(settings, Start(), clock=SystemClock(), progress=fall))
    assert said(truecount, Topics.of(settings)) != live
    resumed = asyncio.run(rebuild(settings, Start(), clock=SystemClock(), progress=lambda *_: None))
    assert resumed.partitions[0].resumed_at is not None
    assert said(truecount, Topics.of(settings)) == live


@pytest.mark.slow
def test_another_configuration_is_told_by_every_flag(audited: Audited, tmp_path: Path, unique: Unique) -> None:
    truecount, live = audited
    other = tmp_path / "other.toml"
    other.write_text(truecount.config.read_text().replace("[time]", "[time]\nfuture_skew_seconds = 61"))
    into = unique("changed")
    run(truecount, into, config=other)
    settings = load(other, {})
    differently = flags(said(truecount, Topics.of(parallel_settings(settings, into))))
    assert {flag["config"] for flag in differently} == {settings.version()} != {truecount.settings.version()}
    assert [dict(flag, config="") for flag in differently] == [dict(flag, config="") for flag in flags(live)]

    mixed = run_cli("rebuild", "--config", str(truecount.config), "--from", "beginning", "--into", into)
    assert mixed.returncode == 1
    assert "has the state of another rebuild" in mixed.stderr
    assert "Traceback" not in mixed.stderr


@pytest.mark.slow
def test_counts_from_the_middle_of_the_log_say_that_they_are_not_whole(audited: Audited, unique: Unique) -> None:
    truecount, _ = audited
    into = unique("middle")
    full = [r.offset for r in truecount.records(truecount.topics.by_target) if decode(r.value).target]
    run(truecount, into, "--from", str(sorted(full)[len(full) // 2]))
    places = said(truecount, Topics.of(parallel_settings(truecount.settings, into)))["audited_counts"]
    counts = [json.loads(value) for place in places for value in place]
    assert counts
    assert all(count["incomplete"] for count in counts)


@pytest.mark.slow
def test_a_rebuilt_installation_goes_on_with_the_log(audited: Audited, tmp_path: Path, unique: Unique) -> None:
    truecount, _ = audited
    into = unique("goes-on")
    run(truecount, into)
    again = parallel_settings(truecount.settings, into)
    text = truecount.config.read_text()
    text = text.replace(f'app = "{truecount.settings.app}"', f'app = "{again.app}"\nlog_prefix = "{again.log_prefix}"')
    config = tmp_path / "again.toml"
    config.write_text(text.replace(f'\nprefix = "{truecount.settings.prefix}"', f'\nprefix = "{again.prefix}"'))
    assert load(config, {}) == again
    successor = replace(truecount, config=config, settings=again, workers=[])
    more = [msgspec.json.encode(e) for e in ordinary(7, minutes=5, start=BURST_MS + 40 * MINUTE_MS)]
    with successor.worker():
        successor.send(truecount.inputs["view"], more)
        successor.wait_drained(len(crowd()) + len(more))


def test_what_cannot_be_rebuilt_is_said(kafka: BrokerAddress, tmp_path: Path, unique: Unique) -> None:
    truecount = install(kafka, tmp_path, unique, metrics=["view"], topics=False)
    settings = parallel_settings(truecount.settings, unique("new"))

    def refusal(start: Start, partitions: list[int] | None = None) -> str:
        with pytest.raises(LogError) as caught:
            asyncio.run(rebuild(settings, start, partitions=partitions, clock=SystemClock(), progress=lambda *_: None))
        return str(caught.value)

    assert "does not exist" in refusal(Start())
    truecount.make_topics()
    assert "has no partition 7" in refusal(Start(), [7])
    assert "ends before --from: partition 0 ends at 0" in refusal(Start(offset=5))
