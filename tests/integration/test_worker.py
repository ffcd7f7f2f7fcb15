"""A worker process on a real broker: every event counted once, every bad record a dead letter, whatever happens."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import Installation, Sent, Worker, install

Unique = Callable[[str], str]

BAD: dict[str, bytes | None] = {
    "empty": b"",
    "not_json": b"{nonsense",
    "not_one_document": b'{"ts":1,"actor":"a","target":"t"} {"ts":1,"actor":"a","target":"t"}',
    "missing_field": b'{"ts":1700000000000,"actor":"a"}',
    "wrong_type": b'{"ts":1700000000000,"actor":"a","target":["t"]}',
    "unknown_metric": b'{"ts":1700000000000,"actor":"a","target":"t","metric":"sneeze"}',
    "bad_id": b'{"ts":1700000000000,"actor":"","target":"t"}',
    "bad_time": b'{"ts":-5,"actor":"a","target":"t"}',
    "from_future": b'{"ts":4102444800000,"actor":"a","target":"t"}',
    "invalid_utf8": b'{"ts":1700000000000,"actor":"\xff\xfe","target":"t"}',
    "too_deep": b'{"ts":1700000000000,"actor":"a","target":"t","x":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "too_large": b'{"ts":1700000000000,"actor":"a","target":"t","x":"' + b"x" * 70_000 + b'"}',
}
"""One record for each reason that the default configuration can give."""


def events(count: int, *, start: int = 0, targets: int = 17) -> list[bytes]:
    """Native events of some targets with distinct ids, a little in the past."""
    now = int(time.time() * 1000) - 60_000
    return [
        json.dumps({"id": f"e{n}", "ts": now + n // 100, "actor": f"a{n % 1000}", "target": f"t{n % targets}"}).encode()
        for n in range(start, start + count)
    ]


def per_target(count: int, targets: int = 17) -> Counter[str]:
    """What ``events(count)`` must add up to."""
    return Counter(f"t{n % targets}" for n in range(count))


def raw_by_target(truecount: Installation, metric: str = "view") -> dict[str, int]:
    """Raw counts as published."""
    return {target: count["raw"] for (target, m), count in truecount.counts().items() if m == metric}


def test_events_become_exact_counts_and_bad_records_dead_letters(
    broker: BrokerAddress, tmp_path: Path, unique: Unique
) -> None:
    truecount = install(broker, tmp_path, unique)
    views, likes = truecount.inputs["view"], truecount.inputs["like"]
    good = events(3000)
    mixed: list[Sent] = list(good)
    headers = [("trace", b"\x00\xff"), ("trace", b"again")]
    for place, value in enumerate(BAD.values()):
        mixed.insert(100 * place, (value, headers))

    with truecount.worker() as worker:
        truecount.send(views, mixed)
        truecount.send(likes, events(500))
        truecount.wait_drained(3500)
        shown = worker.metrics()
        counted = {metric: worker.counted(metric, "valid") for metric in ("view", "like")}

    assert raw_by_target(truecount) == per_target(3000)
    assert raw_by_target(truecount, "like") == per_target(500)
    letters = truecount.records(truecount.topics.dead_letters)
    by_reason = {dict(letter.headers)["reason"].decode(): letter for letter in letters}
    assert len(letters) == len(BAD)
    assert by_reason.keys() == BAD.keys()
    originals = {(r.partition, r.offset): r for r in truecount.records(views)}
    for reason, letter in by_reason.items():
        said = dict(letter.headers)
        original = originals[int(said["partition"]), int(said["offset"])]
        assert letter.value == original.value == BAD[reason]
        assert said["topic"].decode() == views
        assert said["message"]
        assert [h for h in letter.headers if h[0] == "trace"] == headers
    assert counted == {"view": 3000, "like": 500}
    assert shown['truecount_dead_letters_total{reason="too_deep"}'] == 1
    assert shown['truecount_views_told_at_once{partition="0"}'] == 0  # these likes say nothing of it


def test_a_worker_that_stops_and_starts_again_counts_every_event_once(
    broker: BrokerAddress, tmp_path: Path, unique: Unique
) -> None:
    truecount = install(broker, tmp_path, unique)
    views = truecount.inputs["view"]
    with truecount.worker(name="first"):
        truecount.send(views, events(3000))
        time.sleep(1.5)
    truecount.send(views, events(2000, start=3000))
    with truecount.worker(name="second") as worker:
        truecount.send(views, events(1000, start=5000))
        truecount.wait_drained(6000)
        assert worker.counted("view", "valid") == 6000
    assert raw_by_target(truecount) == per_target(6000)


def test_what_the_broker_deleted_unread_is_told_and_the_rest_is_counted(
    kafka: BrokerAddress, tmp_path: Path, unique: Unique
) -> None:
    truecount = install(kafka, tmp_path, unique, metrics=["view"])
    views = truecount.inputs["view"]
    with truecount.worker(name="first"):
        truecount.send(views, events(1000))
        truecount.wait_drained(1000)
    truecount.send(views, events(1000, start=1000))
    admin = KafkaAdminClient(bootstrap_servers=kafka.servers)
    try:
        admin.delete_records({TopicPartition(views, 0): 600, TopicPartition(views, 1): 550})
    finally:
        admin.close()
    with truecount.worker(name="second") as worker:
        truecount.send(views, events(500, start=2000))
        truecount.wait_drained(2350)
        assert worker.metrics()[f'truecount_deleted_records_total{{role="ingest",topic="{views}"}}'] == 150
    assert "records were deleted before they were read" in worker.log.read_text()


def test_a_killed_worker_leaves_counts_exact(kafka: BrokerAddress, tmp_path: Path, unique: Unique) -> None:
    truecount = install(kafka, tmp_path, unique)
    views = truecount.inputs["view"]
    sent = 0
    for life in range(3):
        worker = truecount.start(name=f"life-{life}")
        worker.wait_ready()
        for _ in range(3):
            truecount.send(views, events(1000, start=sent))
            sent += 1000
            time.sleep(0.4)
        worker.kill()
    with truecount.worker(name="last"):
        truecount.wait_drained(sent)
    assert raw_by_target(truecount) == per_target(sent)
    opened = [r.value for r in truecount.records(truecount.topics.flagged_events)]
    assert len(opened) == len(set(opened))


def test_compressed_topics_are_read(broker: BrokerAddress, tmp_path: Path, unique: Unique) -> None:
    truecount = install(broker, tmp_path, unique, metrics=["view"])
    with truecount.worker():
        for times, codec in enumerate(["gzip", "lz4", "snappy", "zstd"]):  # each alone, so that a failure is that one's
            truecount.send(truecount.inputs["view"], events(2000, start=2000 * times), codec=codec)
            truecount.wait_drained(2000 * (times + 1))
    assert raw_by_target(truecount) == per_target(8000)


def test_two_workers_share_the_partitions_and_one_takes_over(
    kafka: BrokerAddress, tmp_path: Path, unique: Unique
) -> None:
    truecount = install(kafka, tmp_path, unique, partitions=4, metrics=["view"])
    views = truecount.inputs["view"]
    with truecount.worker(name="survivor") as survivor:
        victim = truecount.start(name="victim")
        victim.wait_ready()

        def share(role: str) -> list[float]:
            return [w.metrics().get(f'truecount_tasks{{role="{role}"}}', 0.0) for w in (survivor, victim)]

        survivor.wait_for(lambda: sum(share("targets")) == 4 and min(share("targets")) > 0, "share the targets")
        survivor.wait_for(lambda: sum(share("ingest")) == 4 and min(share("ingest")) > 0, "share the inputs")
        truecount.send(views, events(4000))
        truecount.wait_drained(4000)
        parts = [w.counted("view", "valid") for w in (survivor, victim)]
        assert sum(parts) == 4000
        assert min(parts) > 0

        truecount.send(views, events(2000, start=4000))
        victim.kill()
        truecount.send(views, events(2000, start=6000))
        truecount.wait_drained(8000)
        assert survivor.counted("view", "valid") == 8000
    assert raw_by_target(truecount) == per_target(8000)


def test_only_committed_events_of_a_transactional_topic_count(
    kafka: BrokerAddress, tmp_path: Path, unique: Unique
) -> None:
    """A transaction ends with a marker, which is no record: the source is at its end all the same, and falls idle."""
    truecount = install(kafka, tmp_path, unique, metrics=["view"])
    views = truecount.inputs["view"]
    producer = KafkaProducer(bootstrap_servers=kafka.servers, transactional_id=unique("bus"))
    producer.init_transactions()
    for number, part in enumerate([events(500), events(300, start=10_000), events(500, start=500)]):
        producer.begin_transaction()
        for n, value in enumerate(part):
            producer.send(views, value, partition=n % 2)
        producer.flush()
        if number == 1:
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    producer.close()
    with truecount.worker() as worker:
        truecount.wait_drained(1000)
        worker.wait_for(lambda: lag_of(worker, views) == 0, "say that nothing is left to read")
    assert raw_by_target(truecount) == per_target(1000)


def lag_of(worker: Worker, topic: str) -> float:
    """Records of a topic that a worker has still to take."""
    series = worker.metrics().items()
    return sum(value for name, value in series if name.startswith("truecount_lag_") and f'"{topic}"' in name)


def test_a_record_larger_than_a_dead_letter_may_be_stops_nothing(
    kafka: BrokerAddress, tmp_path: Path, unique: Unique
) -> None:
    truecount = install(kafka, tmp_path, unique, metrics=["view"], topics=False)
    views = truecount.inputs["view"]
    admin = KafkaAdminClient(bootstrap_servers=kafka.servers)
    admin.create_topics([NewTopic(views, 2, 1, topic_configs={"max.message.bytes": "6000000"})])
    admin.close()
    truecount.make_topics()
    monster = b'{"x":"' + random.Random(1).randbytes(4_000_000) + b'"}'
    values: list[Sent] = [*events(200), monster, *events(200, start=200)]
    with truecount.worker():
        truecount.send(views, values)
        truecount.wait_drained(400)
    (letter,) = truecount.records(truecount.topics.dead_letters)
    said = {name: value.decode() for name, value in letter.headers}
    assert said["reason"] == "too_large"
    assert f"value {len(monster)} bytes" in said["truncated"]
    assert monster.startswith(letter.value)


MAP = """
[inputs.map]
id = "event.uuid"
ts = {path = "event.at", time = "iso"}
actor = "viewer.account"
target = "media.id"
country = {value = "unknown"}
"""


def test_a_topic_with_other_names_is_mapped(broker: BrokerAddress, tmp_path: Path, unique: Unique) -> None:
    truecount = install(broker, tmp_path, unique, metrics=["view"], input_lines=MAP)
    documents = [
        {
            "event": {"uuid": f"u{n}", "at": f"2024-05-01T12:00:{n // 100:02}.250Z"},
            "viewer": {"account": n % 50},
            "media": {"id": f"t{n % 17}"},
        }
        for n in range(1000)
    ]
    lost: Sent = b'{"event":{"at":"2024-05-01T12:00:00Z"},"viewer":{"account":7},"media":{}}'
    with truecount.worker():
        truecount.send(truecount.inputs["view"], [*(json.dumps(d).encode() for d in documents), lost])
        truecount.wait_drained(1000)
    assert raw_by_target(truecount) == per_target(1000)
    (letter,) = truecount.records(truecount.topics.dead_letters)
    said = {name: value.decode() for name, value in letter.headers}
    assert said["reason"] == "missing_field"
    assert "`$.media.id`" in said["message"]


def test_a_worker_waits_for_its_topics_and_goes_on_by_itself(
    broker: BrokerAddress, tmp_path: Path, unique: Unique
) -> None:
    truecount = install(broker, tmp_path, unique, metrics=["view"], topics=False)
    worker = truecount.start()
    try:
        worker.wait_for(lambda: "does not exist" in worker.probe("/readyz")[1], "say what is missing")
        status, sentence = worker.probe("/readyz")
        assert status == 503
        assert truecount.inputs["view"] in sentence
        assert "truecount topics create" in sentence
        assert worker.probe("/livez")[0] == 200
        truecount.make_topics()
        worker.wait_ready()
        truecount.send(truecount.inputs["view"], events(100))
        truecount.wait_drained(100)
    finally:
        worker.stop()


def test_a_worker_refuses_exactly_once_on_a_broker_without_transactions(
    tansu: BrokerAddress, tmp_path: Path, unique: Unique
) -> None:
    truecount = install(tansu, tmp_path, unique, metrics=["view"])
    truecount.config.write_text(truecount.config.read_text().replace("at_least_once", "exactly_once"))
    worker = truecount.start()
    assert worker.process.wait(30) == 2
    last = [json.loads(line) for line in worker.log.read_text().splitlines()][-1]
    assert (last["event"], last["code"]) == ("the worker ended", 2)
    assert 'set processing = "at_least_once"' in last["reason"]
