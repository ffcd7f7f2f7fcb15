"""Maps for topics: suggested from the last records, tried on them, and looked at by the doctor."""

from __future__ import annotations

import json
import time
import tomllib
from pathlib import Path

import pytest
from kafka import KafkaProducer

from bench.testbed.brokers import BrokerAddress
from streams.kafka.topics import create
from streams.maintenance.doctor import Check, run_checks
from streams.roles import plan
from streams.settings.settings import Settings, load
from tests.command import truecount

pytestmark = pytest.mark.integration
NOON_S = 1_767_634_490
WAIT_SECONDS = 20.0
"""How long a broker may take until all of it knows a topic that was made."""


def checked(settings: Settings, topic: str) -> Check:
    """What the doctor says of an input topic."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        for check in run_checks(settings):
            if check.what == f"input {topic}":
                return check
        time.sleep(0.2)
    raise AssertionError(f"the doctor does not look at {topic}")


def test_a_map_is_suggested_tried_and_checked_on_a_topic(broker: BrokerAddress, tmp_path: Path) -> None:
    topic = f"plays-{tmp_path.name}"
    shared = (
        f'prefix = "{tmp_path.name}."\npartitions = 2\nprocessing = "at_least_once"\n'
        f'[broker]\nservers = "{broker.servers}"\n[state]\ndirectory = "{tmp_path}"\n'
    )
    wrong = tmp_path / "wrong.toml"
    source = 'ts = {path = "at", time = "ms"}\nactor = "user"\ntarget = "media"\n'
    wrong.write_text(f'{shared}[[inputs]]\ntopic = "{topic}"\nmetric = "view"\n[inputs.map]\n{source}')
    settings = load(wrong, environ={})
    create(settings, plan(settings, inputs=True))
    assert checked(settings, topic).message == "no records yet"

    producer = KafkaProducer(bootstrap_servers=broker.servers)
    for n in range(60):
        kind = "play" if n % 3 else "heartbeat"
        record = {"at": NOON_S + n, "user": f"u{n % 9}", "media": f"m{n % 4}", "event": kind}
        producer.send(topic, json.dumps(record).encode(), key=f"u{n % 9}".encode())
    producer.send(topic, None, key=b"u1")
    producer.flush()
    producer.close()

    check = checked(settings, topic)
    assert not check.ok
    assert "of the last 61 records, 60 are refused and 1 skipped" in check.message
    assert 'time = "s" would fit' in check.message

    page = tmp_path / "input.toml"
    done = truecount("map", "suggest", "--topic", topic, "--servers", broker.servers, "--out", str(page))
    assert done.returncode == 0, done.stderr
    (found,) = tomllib.loads(page.read_text())["inputs"]
    assert (found["topic"], found["metric"]) == (topic, "view")
    assert found["map"]["ts"] == {"path": "at", "time": "s"}

    tried = truecount("map", "try", "--topic", topic, "--map", str(page), "--config", str(wrong), "--json")
    totals = json.loads(tried.stdout)["totals"]
    assert (totals["records"], totals["events"], totals["refused"]) == (61, 40, {})
    assert totals["skipped"] == {"filtered": 20, "tombstone": 1}

    right = tmp_path / "right.toml"
    right.write_text(f"{shared}{page.read_text()}")
    check = checked(load(right, environ={}), topic)
    assert check.ok, check.message
    own = truecount("map", "try", "--topic", topic, "--config", str(right), "--json")
    assert json.loads(own.stdout)["totals"]["events"] == 40
