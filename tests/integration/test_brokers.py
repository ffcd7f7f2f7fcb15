"""The brokers that the other integration tests stand on do what a client asks of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

from bench.testbed.brokers import BrokerAddress, KafkaServer, answers

WAIT_MS = 15_000


def _create(servers: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=servers)
    try:
        admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])
    finally:
        admin.close()


def _produce(servers: str, topic: str, values: list[bytes]) -> None:
    # Tansu knows no producer ids, which idempotence needs.
    producer = KafkaProducer(bootstrap_servers=servers, enable_idempotence=False, acks="all")
    try:
        for number, value in enumerate(values):
            producer.send(topic, value, partition=number % 2).get(timeout=WAIT_MS / 1000)
    finally:
        producer.close()


def _consume(servers: str, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=servers,
        auto_offset_reset="earliest",
        group_id=None,
        consumer_timeout_ms=WAIT_MS,
    )
    try:
        got: list[bytes] = []
        for record in consumer:
            got.append(record.value)
            if len(got) == count:
                break
        return got
    finally:
        consumer.close()


def test_a_broker_gives_back_what_it_was_given(broker: BrokerAddress, unique: Callable[[str], str]) -> None:
    topic = unique("echo")
    sent = [f"event {number}".encode() for number in range(20)]
    _create(broker.servers, topic)
    _produce(broker.servers, topic, sent)
    assert sorted(_consume(broker.servers, topic, len(sent))) == sorted(sent)


@pytest.mark.slow
def test_a_killed_kafka_comes_back_with_its_data(kafka_server: KafkaServer) -> None:
    servers = kafka_server.address.servers
    _create(servers, "kept")
    _produce(servers, "kept", [b"before the kill"])

    kafka_server.kill()
    assert not answers(servers)

    kafka_server.start()
    assert kafka_server.address.servers == servers
    assert _consume(servers, "kept", 1) == [b"before the kill"]


@pytest.mark.slow
def test_a_frozen_kafka_answers_again_once_it_thaws(kafka_server: KafkaServer) -> None:
    servers = kafka_server.address.servers
    kafka_server.pause()
    assert not answers(servers)
    kafka_server.resume()
    assert answers(servers)
