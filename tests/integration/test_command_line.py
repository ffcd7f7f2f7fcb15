"""Commands on real topics: how long they take, what they say of nothing, and who contributed to a flag."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient, TopicPartition

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import Installation, install, run_cli
from detectors.records import Count
from streams.cli.outputs.progress import ReadProgress
from streams.kafka.bulk_reader import newest_values
from streams.log.hashing import partition_of
from streams.log.versions import decode
from streams.maintenance import contributors
from streams.targets.outputs import count_key, count_value
from tests.command import truecount

T0 = 1_767_634_490_000
TARGETS = 100_000
SECONDS_PER_TARGETS = 1.0
BOUGHT = "bought\tvideo"
ROLLUP = "v-other"


def named(installation: Installation) -> list[str]:
    return ["--config", str(installation.config)]


def count(target: str, revision: int = 1, **parts: Any) -> Count:
    valid, quarantined = parts.get("valid", 90), parts.get("quarantined", 0)
    invalid = parts.get("invalid", {})
    raw = valid + quarantined + sum(invalid.values())
    return Count(target, "view", raw, valid, quarantined, invalid, revision, T0 + revision)


def publish(
    installation: Installation, counts: Iterable[Count], *, partition: int | None = None, step: int = 5_000
) -> None:
    """Publish counts as a task does, in transactions where the broker has them."""
    topic, listed = installation.topics.audited_counts, list(counts)
    partitions = installation.settings.partitions
    transactional = {"transactional_id": f"{topic}-test"} if installation.broker.transactions else {}

    async def send() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=installation.broker.servers, compression_type="lz4", linger_ms=5, **transactional
        )
        await producer.start()
        try:
            for begin in range(0, len(listed), step):
                if transactional:
                    await producer.begin_transaction()
                sent = [
                    await producer.send(
                        topic,
                        count_value(each),
                        count_key(each),
                        partition=partition_of(each.target, partitions) if partition is None else partition,
                    )
                    for each in listed[begin : begin + step]
                ]
                await asyncio.gather(*sent)
                if transactional:
                    await producer.commit_transaction()
        finally:
            await producer.stop()

    asyncio.run(send())


@pytest.mark.timeout(240)
def test_a_simulation_ends_when_it_says(tansu: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]) -> None:
    installation = install(tansu, tmp_path, unique)
    seconds, sent = {}, {}
    for seed, wanted in enumerate((0.1, 8)):
        began = time.monotonic()
        done = run_cli(
            "simulate",
            *named(installation),
            "--seconds",
            str(wanted),
            "--rate",
            "300",
            "--seed",
            str(seed),
            "--json",
            seconds=100,
        )
        seconds[wanted] = time.monotonic() - began
        assert done.returncode == 0, done.stderr
        sent = json.loads(done.stdout)
    # The difference leaves out the start of a process, which takes longer on a busy machine.
    assert seconds[8] - seconds[0.1] < 8 + 6
    views = [json.loads(record.value) for record in installation.records(installation.inputs["view"])]
    bought = [event for event in views if event["target"] == sent["bought_target"]]
    assert len(bought) > 100
    assert max(event["ts"] for event in views) - min(event["ts"] for event in bought) < 8_000


def test_what_is_empty_and_what_is_missing_is_named(
    tansu: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    installation = install(tansu, tmp_path, unique, topics=False)
    topics = installation.topics
    for command, topic in (("flags", topics.flagged_events), ("counts", topics.audited_counts)):
        done = truecount(command, *named(installation))
        assert (done.stdout, done.returncode) == ("", 3)
        assert done.stderr.startswith(f"truecount: topic {topic} does not exist")
        assert done.stderr.endswith("make it with `truecount topics create --own-only`\n")
    installation.make_topics()
    for command, topic in (("flags", topics.flagged_events), ("counts", topics.audited_counts)):
        for options in ([], ["--json"], ["--target", "v1"]):
            done = truecount(command, *named(installation), *options)
            assert (done.stdout, done.returncode) == ("", 0)
            assert done.stderr.startswith(f"truecount: none yet: {topic} has no {command}")
    publish(installation, [count("v1"), count("v2")])
    done = truecount("counts", *named(installation), "--target", "v3")
    said = f"truecount: no such target: {topics.audited_counts} has 2 counts, and none of v3\n"
    assert (done.stdout, done.stderr, done.returncode) == ("", said, 0)
    done = truecount("counts", *named(installation), "--by", "removed")
    assert (done.stdout, done.stderr) == ("", "truecount: no target has removed events\n")


def test_the_top_targets_by_each_part(broker: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]) -> None:
    installation = install(broker, tmp_path, unique)
    rows = [
        count("hit", valid=5_000, invalid={"undone": 900}),
        count("bought|view", valid=10, quarantined=300),
        count("robots\n", valid=50, invalid={"declared_robot": 200, "undone": 1}),
        count("quiet", valid=7),
    ]
    publish(installation, [count("hit", valid=1), *rows])
    # After a repartition, an old count is left in another partition.
    other = 1 - partition_of("hit", 2)
    publish(installation, [count("hit", revision=0, valid=99_999)], partition=other)

    def column(*options: str) -> dict[str, str]:
        done = truecount("counts", *named(installation), *options)
        assert done.returncode == 0, done.stderr
        head, *lines = (line.split("\t") for line in done.stdout.splitlines())
        assert head[:3] == ["target", "metric", "raw"]
        return {line[0]: line[head.index("removed")] for line in lines}

    assert column("--by", "removed") == {"bought|view": "300", r"robots\n": "200"}
    assert list(column("--by", "quarantined")) == ["bought|view"]
    assert list(column("--by", "valid")) == ["hit", r"robots\n", "bought|view", "quiet"]
    assert list(column()) == ["hit", "bought|view", r"robots\n", "quiet"]
    assert list(column("--by", "raw", "--limit", "2")) == list(column("--top", "2")) == ["hit", "bought|view"]
    assert list(column("--target", "bought|view")) == ["bought|view"]

    def found(*options: str) -> list[Any]:
        done = truecount("counts", *named(installation), "--json", *options)
        return [json.loads(line) for line in done.stdout.splitlines()]

    in_order = sorted(rows, key=count_key)
    assert found() == [msgspec.to_builtins(row) for row in in_order]
    assert [row["target"] for row in found("--by", "removed", "--limit", "1")] == ["bought|view"]


@pytest.mark.timeout(240)
def test_counts_take_a_second_per_hundred_thousand_targets(
    kafka: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    installation = install(kafka, tmp_path, unique)
    publish(
        installation,
        (count(f"video-{number:08d}", invalid={"declared_robot": 3, "double_click": 2}) for number in range(TARGETS)),
    )
    spent = time.process_time()  # not the wall clock: the machine has other work
    done = truecount("counts", *named(installation), "--by", "removed")
    spent = time.process_time() - spent
    assert len(done.stdout.splitlines()) == 1 + 20
    assert spent < SECONDS_PER_TARGETS * TARGETS / 100_000
    progress: list[tuple[int, int]] = []
    topic = installation.topics.audited_counts
    read = asyncio.run(newest_values(installation.settings, topic, lambda done, total: progress.append((done, total))))
    assert sum(map(len, read)) == TARGETS
    assert progress == sorted(progress)
    assert len(progress) > 2
    assert progress[-1][0] == progress[-1][1] >= TARGETS


def test_progress_is_a_line_now_and_then_and_never_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter([0.0, 5.0, 11.0, 12.0, 22.0])
    monkeypatch.setattr("streams.cli.outputs.progress.time.monotonic", lambda: next(seconds))
    with ReadProgress("reading counts") as progress:
        for done in (100, 1_000, 2_000, 3_000):
            progress(done, 5_000)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [f"truecount: reading counts: {done:,} of 5,000" for done in (1_000, 3_000)]


def test_progress_on_a_terminal_is_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    seconds = iter([0.0, 0.5, 2.0, 3.0])
    monkeypatch.setattr("streams.cli.outputs.progress.time", type("Clock", (), {"monotonic": lambda: next(seconds)}))
    with ReadProgress("reading counts") as progress:

        def shown() -> list[Any]:
            return [] if progress._bar is None else [progress._bar]

        progress(1, 10)
        assert not shown()
        progress(2, 10)
        progress(3, 10)
        (bar,) = shown()
        (task,) = bar.tasks
        assert (task.completed, task.total) == (3, 10)
    assert bar.live.transient
    assert not bar.live.is_started


# ------------------------------------------------------------------ who contributed


def view(number: int, target: str = BOUGHT, **other: Any) -> bytes:
    """A view in the form of this platform, which needs the input's map."""
    return json.dumps(
        {
            "when": T0 + 100 * number,
            "who": f"u{number % 50}",
            "page": target,
            "from": f"203.0.{113 + number % 2}.{number % 250}",
            "browser": "Bot/1.0" if number % 4 else "Chrome",
            "via": "https://shop.example/buy?x=1" if number % 10 == 0 else None,
            **other,
        }
    ).encode()


MAP = """
[inputs.map]
ts = "when"
actor = "who"
target = "page"
ip = "from"
user_agent = "browser"
referrer = "via"
undo = {path = "undo"}
"""


@pytest.fixture
def flagged(kafka: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]) -> Installation:
    """An installation whose log has 400 views of a flagged target between others, and the flag itself."""
    installation = install(kafka, tmp_path, unique, metrics=["view"], input_lines=MAP)
    records = [each for n in range(400) for each in (view(n), view(n, ROLLUP))]
    records += [view(n, undo=True) for n in range(20)]
    records += [view(number) for number in (-1, 400, 401)]  # before the onset, and at the end
    installation.send(installation.inputs["view"], records)
    partition = partition_of(BOUGHT, 2)
    with installation.worker("--roles", "ingest") as worker:
        worker.wait_for(lambda: events_in_log(installation) == 823, "write all events to the log")
    flag = {
        "flag_id": "9f2c04aa",
        "revision": 1,
        "status": "opened",
        "target": BOUGHT,
        "metric": "view",
        "verdict": "artificial",
        "score": 90,
        "onset": T0,
        "until": T0 + 40_000,
        "observed": 400,
        "expected": {"value": 2, "low": 0, "high": 9},
        "artificial": {"value": 390, "low": 380, "high": 400},
        "reasons": [],
        "config": "x",
        "log": {"partition": partition, "from": 0, "to": -1},
    }
    installation.send(installation.topics.flagged_events, [json.dumps(flag).encode()])
    return installation


def events_in_log(installation: Installation) -> int:
    return sum(len(decode(record.value).target) for record in installation.records(installation.topics.by_target))


def who(installation: Installation) -> dict[str, Any]:
    done = truecount("explain", "9f2c", *named(installation), "--who", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["who"]
    return found


@pytest.mark.timeout(240)
def test_who_contributed_is_read_again_from_the_input(flagged: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    found = who(flagged)
    assert found["records"] == {"found": 400, "wanted": 400, "read": 400, "events": 400}
    assert found["networks"] == [
        {"value": "203.0.113.0/24", "events": 200, "share": 0.5},
        {"value": "203.0.114.0/24", "events": 200, "share": 0.5},
    ]
    assert found["user_agents"] == [
        {"value": "Bot/1.0", "events": 300, "share": 0.75},
        {"value": "Chrome", "events": 100, "share": 0.25},
    ]
    assert found["referrers"] == [{"value": "shop.example", "events": 40, "share": 0.1}]
    assert len(found["accounts"]) == 10
    assert Counter(row["events"] for row in found["accounts"]) == {8: 10}

    text = truecount("explain", "9f2c", *named(flagged), "--who").stdout
    assert "400 in the log, 400 read again; shares are of 400 events" in text
    assert "     75.0%        300  Bot/1.0\n" in text
    assert "   referrers: 1 different; 90.0% of the events have none\n" in text
    assert "   accounts: 50 different\n" in text
    plain = truecount("explain", "9f2c", *named(flagged), "--json")
    assert "who" not in json.loads(plain.stdout)

    with monkeypatch.context() as few:
        few.setattr(contributors, "RECORDS_MAX", 100)
        assert who(flagged)["records"] == {"found": 400, "wanted": 100, "read": 100, "events": 100}
        assert (
            ", a sample of 100 of them, 100 read again" in truecount("explain", "9f2c", *named(flagged), "--who").stdout
        )
        few.setattr(contributors, "GAP_RECORDS", 0)  # each record by itself, though a fetch has those after it, too
        assert who(flagged)["records"] == {"found": 400, "wanted": 100, "read": 100, "events": 100}

    # Retention has deleted the first half of one partition, then all of both.
    topic = flagged.inputs["view"]
    delete(flagged, {TopicPartition(topic, 0): 200})
    rest = who(flagged)["records"]
    gone = 400 - rest["read"]
    assert 0 < gone < 400
    assert rest == {"found": 400, "wanted": 400, "read": 400 - gone, "events": 400 - gone}
    text = truecount("explain", "9f2c", *named(flagged), "--who").stdout
    assert f"{400 - gone:,} read again; {gone:,} are gone from the input topics (their retention)" in text
    delete(flagged, {TopicPartition(topic, 0): -1, TopicPartition(topic, 1): -1})
    assert who(flagged)["records"] == {"found": 400, "wanted": 400, "read": 0, "events": 0}
    delete(flagged, {TopicPartition(flagged.topics.by_target, place): -1 for place in range(2)})
    assert who(flagged)["records"]["found"] == 0
    text = truecount("explain", "9f2c", *named(flagged), "--who").stdout
    assert "the log has none of its events left" in text


def delete(installation: Installation, before: dict[TopicPartition, int]) -> None:
    """Delete the records below an offset of a partition, as retention does; -1 is all."""
    admin = KafkaAdminClient(bootstrap_servers=installation.broker.servers)
    try:
        admin.delete_records(before)
    finally:
        admin.close()


def test_who_needs_the_topics(tmp_path: Path) -> None:
    done = truecount("explain", "9f2c", "--from", str(tmp_path), "--who")
    assert done.returncode == 2
    assert done.stderr == "truecount: --who reads the input topics, so it cannot be used with --from\n"
