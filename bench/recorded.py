"""Consistency check on recorded events: ``python -m bench.recorded FILE MAP [--servers HOST:PORT]``.

A recorded file is replayed through a real Kafka and a worker process. Then three things are checked: the raw counts add
up to the file's events; an offline replay of the file gives the same counts and flags the same targets; and the
``by-target`` log, applied to new audits, gives flagged-events, corrections and audited-counts byte for byte.
Without ``--servers`` it starts an Apache Kafka of its own (Java 17+ and Maven). Exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from kafka import KafkaConsumer, TopicPartition

from bench.testbed.brokers import BrokerAddress, KafkaServer, kafka_is_missing, kafka_jars
from bench.testbed.workers import Installation, run_cli
from detectors.records import Outcome
from streams.settings.settings import load
from streams.targets.outputs import correction_value, count_value, flag_value
from streams.targets.step import PartitionAudit, audit_settings

REPLAY_SECONDS = 1800.0
SETTLE_SECONDS = 2.0
"""Wait before reading committed offsets: after a transaction they may be old for 1.5 s."""
SHOWN = 20

TargetMetric = tuple[str, str]


@dataclass
class Proof:
    """Result of the check. ``problems`` is empty if everything agrees."""

    records: int = 0
    unmapped: int = 0
    raw: int = 0
    valid: int = 0
    quarantined: int = 0
    invalid: dict[str, int] = field(default_factory=dict)
    targets: int = 0
    late: int = 0
    dead_letters: int = 0
    flags: int = 0
    flagged_targets: list[TargetMetric] = field(default_factory=list)
    by_verdict: dict[str, int] = field(default_factory=dict)
    by_reason: dict[str, int] = field(default_factory=dict)
    parts_differ_offline: int = 0
    """targets with the same raw count but different parts: cases open at the end of one of the two runs"""
    log_frames: int = 0
    log_outputs: int = 0
    online_seconds: float = 0.0
    offline_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def prove(installation: Installation, file: Path, layout: Path, *, drain_seconds: float) -> Proof:
    """Run all checks on an installation whose topics exist and are empty."""
    proof = Proof()
    began = time.monotonic()
    with installation.worker(name="recorded") as worker:
        answer = _command("replay", str(file), "--map", str(layout), "--config", str(installation.config), "--json")
        proof.records, proof.unmapped = answer["records"], answer["dead_letters"]
        counts = installation.wait_drained(proof.records - proof.unmapped, seconds=drain_seconds)
        proof.online_seconds = time.monotonic() - began
        proof.late = int(worker.metrics()["truecount_late_events_total"])
    time.sleep(SETTLE_SECONDS)
    topics = installation.topics
    # The worker's last checkpoint may have published more than was waited for.
    counts = installation.counts()
    flags = [orjson.loads(record.value) for record in installation.records(topics.flagged_events)]
    proof.dead_letters = len(installation.records(topics.dead_letters))
    _sum_up(proof, counts, flags)
    _compare_offline(proof, installation, file, layout, counts)
    _compare_log(proof, installation)
    return proof


def _command(*arguments: str) -> dict[str, Any]:
    done = run_cli(*arguments, seconds=REPLAY_SECONDS)
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, arguments, done.stdout, done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _sum_up(proof: Proof, counts: dict[TargetMetric, dict[str, Any]], flags: list[dict[str, Any]]) -> None:
    invalid: Counter[str] = Counter()
    for count in counts.values():
        proof.raw += count["raw"]
        proof.valid += count["valid"]
        proof.quarantined += count["quarantined"]
        invalid.update(count["invalid"])
    proof.invalid = dict(invalid)
    proof.targets = len(counts)
    last = {flag["flag_id"]: flag for flag in flags}
    proof.flags = len(last)
    proof.flagged_targets = sorted({(flag["target"], flag["metric"]) for flag in last.values()})
    proof.by_verdict = dict(Counter(flag["verdict"] for flag in last.values()))
    proof.by_reason = dict(Counter(reason["code"] for flag in last.values() for reason in flag["reasons"]))
    if proof.raw != proof.records - proof.unmapped:
        proof.problems.append(f"raw is {proof.raw:,}, the file has {proof.records - proof.unmapped:,} events")
    if proof.dead_letters != proof.unmapped:
        proof.problems.append(f"{proof.dead_letters:,} dead letters for {proof.unmapped:,} bad rows")


def _compare_offline(
    proof: Proof, installation: Installation, file: Path, layout: Path, counts: dict[TargetMetric, dict[str, Any]]
) -> None:
    out = installation.directory / "offline"
    began = time.monotonic()
    config = ("--config", str(installation.config))
    _command("replay", str(file), "--map", str(layout), *config, "--offline", "--out", str(out), "--json")
    proof.offline_seconds = time.monotonic() - began
    offline: dict[TargetMetric, dict[str, Any]] = {}
    for line in (out / "audited-counts.ndjson").read_bytes().splitlines():
        count = orjson.loads(line)
        offline[count["target"], count["metric"]] = count
    flagged = {
        (flag["target"], flag["metric"])
        for flag in map(orjson.loads, (out / "flagged-events.ndjson").read_bytes().splitlines())
    }
    raw_differs = sorted(key for key in counts.keys() | offline.keys() if _raw(counts, key) != _raw(offline, key))
    proof.parts_differ_offline = sum(
        1 for key in counts.keys() & offline.keys() if _parts(counts[key]) != _parts(offline[key])
    )
    if raw_differs:
        proof.problems.append(f"offline, raw differs for {len(raw_differs):,} targets: {raw_differs[:SHOWN]}")
    if flagged != set(proof.flagged_targets):
        differ = sorted(flagged ^ set(proof.flagged_targets))
        proof.problems.append(f"offline, {len(differ):,} targets are flagged differently: {differ[:SHOWN]}")


def _parts(count: dict[str, Any]) -> tuple[int, int, dict[str, int]]:
    return count["valid"], count["quarantined"], count["invalid"]


def _raw(counts: dict[TargetMetric, dict[str, Any]], key: TargetMetric) -> int:
    return int(counts[key]["raw"]) if key in counts else 0


def _compare_log(proof: Proof, installation: Installation) -> None:
    """Apply the log, as far as the worker has committed, to new audits, and compare their outputs."""
    topics = installation.topics
    log = installation.records(topics.by_target)
    published = {
        "flagged-events": installation.records(topics.flagged_events),
        "corrections": installation.records(topics.corrections),
        "audited-counts": installation.records(topics.audited_counts),
    }
    for partition, end in sorted(_committed(installation).items()):
        audit, outcome = PartitionAudit(audit_settings(installation.settings, partition)), Outcome()
        for record in log:
            if record.partition == partition and record.offset < end:
                audit.apply(record.value, record.offset, outcome)
                proof.log_frames += 1
        again = {
            "flagged-events": [flag_value(flag) for flag in outcome.flags],
            "corrections": [correction_value(correction) for correction in outcome.corrections],
            "audited-counts": [count_value(count) for count in outcome.counts],
        }
        for name, values in again.items():
            online = [record.value for record in published[name] if record.partition == partition]
            proof.log_outputs += len(values)
            if values != online:
                at = next((i for i, (a, b) in enumerate(zip(values, online, strict=False)) if a != b), -1)
                proof.problems.append(
                    f"log of partition {partition}: {name} has {len(online):,} records, replayed {len(values):,}; "
                    f"the first that differs is number {at}"
                )


def _committed(installation: Installation) -> dict[int, int]:
    """Committed offsets of the targets role, by partition of by-target."""
    settings = installation.settings
    consumer = KafkaConsumer(
        bootstrap_servers=installation.broker.servers, group_id=settings.app, enable_auto_commit=False
    )
    try:
        topic = installation.topics.by_target
        return {p: consumer.committed(TopicPartition(topic, p)) or 0 for p in range(settings.partitions)}
    finally:
        consumer.close()


def main() -> int:
    """Run the check and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.recorded", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("file", type=Path)
    parser.add_argument("map", type=Path)
    parser.add_argument("--servers", help="an Apache Kafka on which truecount has never run")
    parser.add_argument("--drain-seconds", type=float, default=600.0)
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="truecount-recorded-")))
        if options.servers:
            broker = BrokerAddress(options.servers, "kafka", True)
        else:
            missing = kafka_is_missing()
            if missing:
                parser.error(f"no --servers, and no Kafka can be started: {missing}")
            server = KafkaServer(directory / "kafka", kafka_jars())
            server.start()
            stack.callback(server.stop)
            broker = server.address
        config = directory / "truecount.toml"
        config.write_text(
            f'[broker]\nservers = "{broker.servers}"\n[state]\ndirectory = "{directory}/state"\n[time]\nearliest = 0\n'
        )
        installation = Installation(broker, directory, {}, config, load(config, {}))
        installation.make_topics()
        proof = prove(installation, options.file.resolve(), options.map, drain_seconds=options.drain_seconds)
    for name, value in asdict(proof).items():
        print(f"{name:20} {_shown(value)}")
    print("everything agrees" if not proof.problems else "SOMETHING DIFFERS")
    return 1 if proof.problems else 0


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(value) > SHOWN:
        return f"{len(value):,}: {value[:SHOWN]} …"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main())
