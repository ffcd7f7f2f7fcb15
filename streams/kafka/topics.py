"""Topics: their names, their settings, and making them."""

from __future__ import annotations

from dataclasses import dataclass

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from streams.failures import Failure
from streams.kafka.clients import kafka_python_options
from streams.settings.settings import Settings

HOUR_MS = 3_600_000


class BrokerError(Failure):
    """The broker could not be reached or did not do what was asked; the message is a sentence."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of truecount's own topics under a prefix."""

    by_target: str
    ingest_state: str
    targets_state: str
    flagged_events: str
    corrections: str
    audited_counts: str
    dead_letters: str

    @classmethod
    def of(cls, settings: Settings) -> Topics:
        """The topics of an installation."""
        p = settings.prefix
        log = settings.log_prefix or p
        return cls(
            by_target=f"{log}by-target",
            ingest_state=f"{log}ingest-state",
            targets_state=f"{settings.state_prefix or p}targets-state",
            flagged_events=f"{p}flagged-events",
            corrections=f"{p}corrections",
            audited_counts=f"{p}audited-counts",
            dead_letters=f"{p}dead-letters",
        )

    def own(self) -> tuple[str, ...]:
        """All of them."""
        return (
            self.by_target,
            self.ingest_state,
            self.targets_state,
            self.flagged_events,
            self.corrections,
            self.audited_counts,
            self.dead_letters,
        )


def plan(settings: Settings, *, inputs: bool) -> list[NewTopic]:
    """The topics an installation needs; with its inputs too where nobody else makes them."""
    topics = Topics.of(settings)
    retention = {"retention.ms": str(settings.retention_hours * HOUR_MS)}
    compacted = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.2", "segment.ms": "3600000"}
    configs = {
        topics.by_target: retention,
        topics.ingest_state: compacted,
        topics.targets_state: compacted,
        topics.audited_counts: compacted,
        topics.flagged_events: {"retention.ms": "-1"},
        topics.corrections: {"retention.ms": "-1"},
        topics.dead_letters: retention,
    }
    replication = settings.broker.replication
    wanted = [
        NewTopic(
            name=name,
            num_partitions=settings.partitions,
            replication_factor=replication,
            topic_configs=config,
        )
        for name, config in configs.items()
    ]
    if inputs:
        wanted += [
            NewTopic(name=i.topic, num_partitions=settings.partitions, replication_factor=replication)
            for i in settings.inputs
        ]
    return wanted


def admin(settings: Settings, *, timeout_seconds: float = 10.0) -> KafkaAdminClient:
    """An admin client. Raises BrokerError with a sentence."""
    try:
        return KafkaAdminClient(
            request_timeout_ms=int(timeout_seconds * 1000),
            **kafka_python_options(settings.broker),
        )
    except (KafkaError, OSError, ValueError) as error:
        raise BrokerError(describe(error, settings)) from error


def describe(error: BaseException, settings: Settings) -> str:
    """A sentence for what went wrong between us and the broker."""
    name = type(error).__name__
    where = settings.broker.servers
    if "Authentication" in name or "Sasl" in name:
        return f"{where} refused the credentials ({error}); check broker.username, password and sasl_mechanism"
    if "Authorization" in name:
        return f"{where} does not allow this ({error}); check the ACLs of {settings.broker.username or 'this client'}"
    if name in (
        "NoBrokersAvailable",
        "KafkaConnectionError",
        "KafkaTimeoutError",
        "NodeNotReadyError",
        "TimeoutError",
    ):
        return f"no broker answers at {where}; check broker.servers and that Kafka is running"
    return f"the broker at {where} answered {name}: {error}"


def partitions_of(settings: Settings, topic: str) -> int | None:
    """How many partitions a topic has, None if there is no such topic. Raises BrokerError."""
    client = admin(settings)
    try:
        if topic not in client.list_topics():
            return None
        (described,) = client.describe_topics([topic])
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        client.close()
    return len(described["partitions"])


def create(settings: Settings, *, inputs: bool = True) -> tuple[list[str], list[str]]:
    """Make what is missing. Answers (made, there already). Raises BrokerError."""
    client = admin(settings)
    made, there = [], []
    try:
        existing = set(client.list_topics())
        for topic in plan(settings, inputs=inputs):
            if topic.name in existing:
                there.append(topic.name)
                continue
            try:
                client.create_topics([topic])
                made.append(topic.name)
            except TopicAlreadyExistsError:
                there.append(topic.name)
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        client.close()
    return made, there


def grow(settings: Settings, names: list[str]) -> None:
    """Give topics as many partitions as are set, where they have fewer. Raises BrokerError."""
    client = admin(settings)
    try:
        described = client.describe_topics(names)
        fewer = {d["name"]: settings.partitions for d in described if len(d["partitions"]) < settings.partitions}
        if fewer:
            client.create_partitions(fewer)
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        client.close()


def missing(settings: Settings) -> list[str]:
    """Topics that a worker needs and the broker does not have. Raises BrokerError."""
    client = admin(settings)
    try:
        existing = set(client.list_topics())
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        client.close()
    wanted = list(Topics.of(settings).own()) + [i.topic for i in settings.inputs]
    return [name for name in wanted if name not in existing]
