"""Three invented platforms, with the configurations of deploy/examples: counts equal an independent count."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaProducer

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import Installation
from streams.settings.settings import load
from tests.integration.platforms import Truth, podcast_host, social_network, video_site

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
PLATFORMS: dict[str, Callable[[int, int], Truth]] = {
    "video_site": video_site,
    "social_network": social_network,
    "podcast_host": podcast_host,
}
SETTINGS = """\
app = "{name}"
prefix = "{name}."
partitions = 2
checkpoint_seconds = 1

[time]
tick_seconds = 2
counts_seconds = 1
idle_seconds = 2
lateness_seconds = 1

[state]
directory = "{directory}/state"

"""


def _installed(example: str, broker: BrokerAddress, directory: Path, name: str) -> Installation:
    """An installation with the example's inputs and nothing changed in them."""
    shown = (EXAMPLES / f"{example}.toml").read_text()
    inputs = re.sub(r'^prefix = ".*"$', "", shown, flags=re.MULTILINE)
    inputs = re.sub(r'^servers = ".*"$', f'servers = "{broker.servers}"', inputs, flags=re.MULTILINE)
    config = directory / f"{example}.toml"
    config.write_text(SETTINGS.format(name=name, directory=directory) + inputs)
    settings = load(config, {})
    return Installation(broker, directory, {i.topic: i.topic for i in settings.inputs}, config, settings)


def _produce(broker: BrokerAddress, truth: Truth) -> None:
    """Each topic's records in their order, all with one key to one partition, as an undo needs it."""
    producer = KafkaProducer(bootstrap_servers=broker.servers, acks="all", enable_idempotence=False, linger_ms=5)
    try:
        futures = [
            producer.send(record.topic, record.value, key=record.key, partition=0, headers=record.headers)
            for record in truth.records
        ]
        producer.flush(timeout=30)
        for future in futures:
            future.get(timeout=1)
    finally:
        producer.close()


@pytest.mark.parametrize("example", PLATFORMS)
def test_a_platforms_own_records_become_its_exact_counts(
    example: str, kafka: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    truth = PLATFORMS[example](7, int(time.time() * 1000) - 60_000)
    truecount = _installed(example, kafka, tmp_path, unique("platform"))
    truecount.make_topics()
    with truecount.worker() as worker:
        _produce(kafka, truth)
        counts = truecount.wait_drained(sum(truth.raw.values()))
        shown = worker.metrics()

    assert {key: count["raw"] for key, count in counts.items()} == dict(truth.raw)
    invalid = {(*key, reason): n for key, count in counts.items() for reason, n in count["invalid"].items()}
    assert invalid == {key: n for key, n in truth.invalid.items() if n}
    assert all(count["quarantined"] == 0 for count in counts.values())
    letters = truecount.records(truecount.topics.dead_letters)
    assert sorted(letter.value for letter in letters) == sorted(truth.dead)
    for reason, count in truth.skipped.items():
        assert shown[f'truecount_skipped_records_total{{reason="{reason}"}}'] == count
    for (name, why), count in truth.unread.items():
        assert shown[f'truecount_unread_fields_total{{field="{name}",reason="{why}"}}'] == count
    flags = truecount.records(truecount.topics.flagged_events)
    assert flags == []
