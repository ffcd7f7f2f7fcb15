"""All roles over a rebuild and a repartition on a real Kafka: nobody is asked twice, and every case is settled."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import Installation, Worker, install, run_cli
from detectors.controls import Asked
from streams.actors.outputs import ruling_key, ruling_value
from streams.actors.step import PartitionAccounts, account_settings
from streams.kafka.topics import Topics
from streams.log.controls import decode_controls, is_control, to_actors
from streams.maintenance.rebuild import parallel_settings
from tests.faults.traffic import MINUTE_MS, Sent, Traffic, closing
from tests.faults.truth import Tally, TargetMetric
from tests.integration.test_repartition import configure

Unique = Callable[[str], str]

TRAFFIC = Traffic(21, 40, 130)
ORDER = range(80, 86)
"""Minutes in which empty new accounts like one target, which alone is no proof: their accounts are asked."""
ORDERED_TARGET = "v33"
ORDERED_PER_MINUTE = 25
CUT = 108
"""The minute of a repartition: the accounts of the order have been asked, and the case is not settled yet."""


def installed(kafka: BrokerAddress, tmp_path: Path, unique: Unique) -> Installation:
    """All roles; event time waits for every source, so that metric after metric can be sent."""
    return install(
        kafka,
        tmp_path,
        unique,
        tick_seconds=10,
        counts_seconds=60,
        idle_seconds=3600,
        lateness_seconds=60,
        actors=True,
        settlement_hours=1,
    )


def sent(truecount: Installation, tally: Tally, minutes: range) -> None:
    """Send minutes of the traffic, and count them independently."""
    values: dict[str, list[bytes]] = {metric: [] for metric in truecount.inputs}
    for minute, rows in enumerate(TRAFFIC.by_minute()):
        for metric, value in [*rows, *ordered(minute)] if minute in minutes else ():
            values[metric].append(value)
            tally.add(metric, value)
    for metric, topic in truecount.inputs.items():
        truecount.send(topic, values[metric])


def ordered(minute: int) -> Iterator[Sent]:
    """The likes ordered for a minute: each of another account, all created today, and like people in all else."""
    for n in range(ORDERED_PER_MINUTE if minute in ORDER else 0):
        person = (minute - ORDER.start) * ORDERED_PER_MINUTE + n
        ts = TRAFFIC.start_ms + minute * MINUTE_MS + n * (MINUTE_MS // ORDERED_PER_MINUTE)
        value = {
            "id": f"o{person}",
            "ts": ts,
            "actor": f"new{person}",
            "target": ORDERED_TARGET,
            "ip": f"10.{person % 40}.{person % 97}.7",
            "user_agent": f"agent/{person % 30}",
            "country": ("de", "fr", "us", "br", "in")[person % 5],
            "actor_created_at": TRAFFIC.start_ms - person * MINUTE_MS,
        }
        yield "like", json.dumps(value).encode()


def close(truecount: Installation, worker: Worker, records: int) -> None:
    """Let the hours after the traffic pass one after another, so that cases are settled and closed.

    ``records`` are those that the worker has taken before.
    """
    for values in closing(TRAFFIC.end_ms, [f"~closing{n}" for n in range(40)]):
        for topic in truecount.inputs.values():
            truecount.send(topic, values)
            records += len(values)
        drain(worker, records)


def drain(worker: Worker, records: int) -> None:
    """Wait until a worker has taken so many records of the inputs, and both logs."""

    def drained() -> bool:
        series = worker.metrics()
        taken = sum(value for name, value in series.items() if name.startswith('truecount_records_total{role="ingest"'))
        behind = sum(value for name, value in series.items() if name.startswith("truecount_lag_records"))
        return taken >= records and behind == 0

    for _ in range(2):  # what was read last may have been answered
        worker.wait_for(drained, "read inputs and logs to their ends", 120)
        time.sleep(1.0)


def actors_lag(worker: Worker) -> float:
    """Records of by-actor that a worker has still to take; 1 before it has taken any."""
    series = worker.metrics()
    taken = sum(value for name, value in series.items() if name.startswith('truecount_records_total{role="actors"'))
    behind = sum(value for name, value in series.items() if name.startswith("truecount_lag_records"))
    return behind if taken else 1.0


def flags(truecount: Installation, topics: Topics) -> list[dict[str, Any]]:
    """All flag revisions."""
    return [json.loads(record.value) for record in truecount.records(topics.flagged_events)]


def questions(truecount: Installation, topics: Topics) -> Counter[tuple[str, int]]:
    """How often each case asked each partition of by-actor."""
    return Counter(
        (record.case, place.partition)
        for place in truecount.records(topics.by_actor)
        if is_control(place.value)
        for record in to_actors(decode_controls(place.value))
        if isinstance(record, Asked)
    )


def outputs(truecount: Installation, topics: Topics) -> dict[str, dict[int, list[bytes]]]:
    """The values of each output topic, by partition."""
    found: dict[str, dict[int, list[bytes]]] = {}
    for topic, name in (
        (topics.flagged_events, "flags"),
        (topics.corrections, "corrections"),
        (topics.audited_counts, "counts"),
        (topics.actors, "rulings"),
    ):
        places = found.setdefault(name, {})
        for record in truecount.records(topic):
            places.setdefault(record.partition, []).append(record.value)
    return found


def assert_consistent(truecount: Installation, tally: Tally) -> None:
    """Raw counts are the input; without a flag, all of a count is as counted independently; corrections are once."""
    counts = {
        TargetMetric(target, metric): count
        for (target, metric), count in truecount.counts().items()
        if not target.startswith("~")
    }
    flagged = {(flag["target"], flag["metric"]) for flag in flags(truecount, truecount.topics)}
    assert {key: count["raw"] for key, count in counts.items()} == dict(tally.events)
    for key, count in counts.items():
        assert count["quarantined"] == 0 or key in flagged
        if key not in flagged:
            expected = tally.parts(key)
            assert {name: count[name] for name in expected} == expected, key
    ids = [json.loads(record.value)["correction_id"] for record in truecount.records(truecount.topics.corrections)]
    assert len(ids) == len(set(ids))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_rebuild_asks_nobody_and_gives_the_same(kafka: BrokerAddress, tmp_path: Path, unique: Unique) -> None:
    truecount, tally = installed(kafka, tmp_path, unique), Tally()
    with truecount.worker() as worker:
        sent(truecount, tally, range(TRAFFIC.minutes))
        drain(worker, tally.records)
        close(truecount, worker, tally.records)
    assert_consistent(truecount, tally)
    live, asked = outputs(truecount, truecount.topics), questions(truecount, truecount.topics)
    assert asked
    assert set(asked.values()) == {1}
    settled = [flag for flag in flags(truecount, truecount.topics) if flag["status"] in ("reversed", "closed")]
    codes = {reason["code"] for flag in settled for reason in flag["reasons"]}
    assert codes & {"empty_accounts", "acted_elsewhere"}
    assert "not_settled" not in codes

    into = unique("again")
    done = run_cli("rebuild", "--config", str(truecount.config), "--into", into, "--from", "beginning", "--json")
    assert done.returncode == 0, done.stderr
    again = parallel_settings(truecount.settings, into)
    rebuilt = outputs(truecount, Topics.of(again))
    assert {name: rebuilt[name] for name in ("flags", "corrections", "counts")} == {
        name: live[name] for name in ("flags", "corrections", "counts")
    }
    assert questions(truecount, truecount.topics) == asked, "a rebuild asks nothing"
    assert rebuilt["rulings"] == {}

    # The rebuilt installation takes over: its role actors reads the log of actors from its beginning.
    text = truecount.config.read_text().replace(f'app = "{truecount.settings.app}"', f'app = "{again.app}"')
    text = text.replace(
        f'prefix = "{truecount.settings.prefix}"', f'prefix = "{again.prefix}"\nlog_prefix = "{again.log_prefix}"'
    )
    config = tmp_path / "again.toml"
    config.write_text(text)
    worker = truecount.start("--roles", "targets,actors", name="again", config=config)
    worker.wait_ready()
    worker.wait_for(lambda: actors_lag(worker) == 0, "read the log of actors to its end", 120)
    worker.stop()
    taken_over = outputs(truecount, Topics.of(again))
    assert taken_over["rulings"] == live["rulings"]
    assert {name: taken_over[name] for name in ("flags", "corrections", "counts")} == {
        name: live[name] for name in ("flags", "corrections", "counts")
    }, "answers that come again change nothing"
    assert questions(truecount, truecount.topics) == asked


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_relations_questions_and_rulings_go_on_over_a_repartition(
    kafka: BrokerAddress, tmp_path: Path, unique: Unique
) -> None:
    truecount, tally = installed(kafka, tmp_path, unique), Tally()
    with truecount.worker() as worker:
        sent(truecount, tally, range(CUT))
        drain(worker, tally.records)
    asked = questions(truecount, truecount.topics)
    assert asked, "a case waits for its accounts"
    into = unique("grown")
    done = run_cli("repartition", "--config", str(truecount.config), "--partitions", "4", "--into", into, "--json")
    assert done.returncode == 0, done.stderr
    configure(truecount, f"{into}.", 4)
    before = tally.records
    with truecount.worker(name="grown") as worker:
        sent(truecount, tally, range(CUT, TRAFFIC.minutes))
        drain(worker, tally.records - before)
        close(truecount, worker, tally.records - before)
    assert_consistent(truecount, tally)
    cases = {case for case, _ in asked}
    ends = {flag["flag_id"]: flag for flag in flags(truecount, truecount.topics) if flag["flag_id"] in cases}
    assert ends.keys() == cases
    for flag in ends.values():
        codes = {reason["code"] for reason in flag["reasons"]}
        assert flag["status"] in ("closed", "reversed")
        assert codes & {"empty_accounts", "acted_elsewhere"}, flag
    # The log of actors alone gives the rulings since.
    newest = {record.key: record.value for record in truecount.records(truecount.topics.actors)}
    places: dict[int, PartitionAccounts] = {}
    latest: dict[bytes, bytes] = {}
    for record in truecount.records(truecount.topics.by_actor):
        accounts = places.setdefault(
            record.partition,
            PartitionAccounts(account_settings(truecount.settings), partition=record.partition, target_partitions=4),
        )
        for ruling in accounts.apply(record.value, record.offset).rulings:
            latest[ruling_key(ruling)] = ruling_value(ruling)
    assert latest
    assert newest.items() >= latest.items()
