"""Truecount's own topics: their names, retention and partitions, and their creation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from detectors.windows.scales import HOUR_MS
from streams.kafka.clients import kafka_python_options
from streams.kafka.connection import connection_problem
from streams.kafka.errors import BrokerError, NoConnectionError, describe, user_of
from streams.settings.settings import Settings


def _always(_settings: Settings) -> bool:
    return True


_with_actors = attrgetter("actors.enabled")


@dataclass(frozen=True, slots=True)
class Topic:
    """One of truecount's own topics."""

    suffix: str
    """its name without the prefix of the installation"""
    retention: Literal["retained", "newest", "always"]
    """which records stay: those of the last ``retention_hours``, the newest of every key, or all"""
    prefix_setting: Literal["log", "state"] | None = None
    """the setting that can give it another prefix, ``log_prefix`` or ``state_prefix`` (``truecount repartition``)"""
    partitions: Callable[[Settings], int] = attrgetter("partitions")
    used: Callable[[Settings], bool] = _always
    """whether an installation has it"""

    def prefix(self, settings: Settings) -> str:
        """The beginning of its name."""
        moved = {"log": settings.log_prefix, "state": settings.state_prefix}.get(self.prefix_setting or "", "")
        return moved or settings.prefix

    def name(self, settings: Settings) -> str:
        """Its name in an installation."""
        return f"{self.prefix(settings)}{self.suffix}"

    def planned(self, settings: Settings) -> NewTopic:
        """The topic as it is to be created."""
        return NewTopic(
            name=self.name(settings),
            num_partitions=self.partitions(settings),
            replication_factor=settings.broker.replication,
            topic_configs=_config(self.retention, settings),
        )


def _config(retention: str, settings: Settings) -> dict[str, str]:
    match retention:
        case "newest":
            return {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.2", "segment.ms": "3600000"}
        case "always":
            return {"retention.ms": "-1"}
        case _:
            return {"retention.ms": str(settings.retention_hours * HOUR_MS)}


BY_TARGET = Topic("by-target", retention="retained", prefix_setting="log")
INGEST_STATE = Topic("ingest-state", retention="newest", prefix_setting="log")
TARGETS_STATE = Topic("targets-state", retention="newest", prefix_setting="state")
FLAGGED_EVENTS = Topic("flagged-events", retention="always")
CORRECTIONS = Topic("corrections", retention="always")
AUDITED_COUNTS = Topic("audited-counts", retention="newest")
DEAD_LETTERS = Topic("dead-letters", retention="retained")
BY_ACTOR = Topic("by-actor", retention="retained", prefix_setting="log", used=_with_actors)
ACTORS_STATE = Topic("actors-state", retention="newest", prefix_setting="state", used=_with_actors)
ACTORS = Topic("actors", retention="newest", used=_with_actors)


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of these topics in one installation. ``streams.roles`` has the roles that read and write them."""

    by_target: str
    ingest_state: str
    targets_state: str
    flagged_events: str
    corrections: str
    audited_counts: str
    dead_letters: str
    by_actor: str
    actors_state: str
    actors: str

    @classmethod
    def of(cls, settings: Settings) -> Topics:
        """The names under the prefixes of an installation."""
        return cls(
            by_target=BY_TARGET.name(settings),
            ingest_state=INGEST_STATE.name(settings),
            targets_state=TARGETS_STATE.name(settings),
            flagged_events=FLAGGED_EVENTS.name(settings),
            corrections=CORRECTIONS.name(settings),
            audited_counts=AUDITED_COUNTS.name(settings),
            dead_letters=DEAD_LETTERS.name(settings),
            by_actor=BY_ACTOR.name(settings),
            actors_state=ACTORS_STATE.name(settings),
            actors=ACTORS.name(settings),
        )


def admin(settings: Settings, *, timeout_seconds: float = 10.0) -> KafkaAdminClient:
    """An admin client. Raises BrokerError, with the cause if the broker cannot be reached."""
    problem = connection_problem(settings.broker)  # first: the client would try in vain for BOOTSTRAP_TIMEOUT_MS
    if problem is not None:
        raise NoConnectionError(problem)
    try:
        return KafkaAdminClient(
            request_timeout_ms=int(timeout_seconds * 1000),
            **kafka_python_options(settings.broker),
        )
    except (KafkaError, OSError, ValueError) as error:
        raise BrokerError(describe(error, settings)) from error


def partition_counts(settings: Settings, names: Iterable[str]) -> dict[str, int]:
    """Topic → its number of partitions. All topics must exist. Raises BrokerError."""
    client = admin(settings)
    try:
        return {described["name"]: len(described["partitions"]) for described in client.describe_topics(list(names))}
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        client.close()


def partitions_of(settings: Settings, topic: str) -> int | None:
    """The number of partitions of a topic; None if it does not exist. Raises BrokerError."""
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


def create(settings: Settings, planned: Iterable[NewTopic]) -> tuple[list[str], list[str]]:
    """Create missing topics. Returns the names of (created, existing) topics. Raises BrokerError."""
    client = admin(settings)
    created, existing = [], []
    try:
        before = set(client.list_topics())
        for topic in planned:
            if topic.name in before:
                existing.append(topic.name)
                continue
            try:
                client.create_topics([topic])
                created.append(topic.name)
            except TopicAlreadyExistsError:
                existing.append(topic.name)
            except (TopicAuthorizationFailedError, ClusterAuthorizationFailedError):
                raise BrokerError(
                    f"{user_of(settings)} may not create topic {topic.name};"
                    " `truecount topics create --dry-run` prints the topics and the ACLs for an administrator"
                ) from None
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        client.close()
    return created, existing


def grow(settings: Settings, topics: Iterable[Topic]) -> None:
    """Add partitions to topics that have fewer than the settings demand. Raises BrokerError."""
    wanted = {topic.name(settings): topic.partitions(settings) for topic in topics}
    counts = partition_counts(settings, wanted)
    fewer = {name: count for name, count in wanted.items() if counts[name] < count}
    if not fewer:
        return
    client = admin(settings)
    try:
        client.create_partitions(fewer)
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        client.close()


def missing(settings: Settings, names: Iterable[str]) -> list[str]:
    """The names of the topics that do not exist. Raises BrokerError.

    A topic that this user may not describe is not among them: the broker does not say whether it exists.
    """
    client = admin(settings)
    try:
        described = {topic["name"]: topic["error_code"] for topic in client.describe_topics(sorted(set(names)))}
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        client.close()
    return [name for name in names if described.get(name) == UnknownTopicOrPartitionError.errno]


def absence(settings: Settings, topic: str) -> str:
    """A sentence about a topic that a client did not find. Raises BrokerError if the broker does not answer."""
    if not missing(settings, [topic]):
        return f"{user_of(settings)} may not see topic {topic}; `truecount doctor` prints the missing ACL"
    return f"topic {topic} does not exist; {remedy(settings, topic)}"


def remedy(settings: Settings, topic: str) -> str:
    """What to do about a topic that does not exist. The platform makes its own topics, which are the inputs."""
    if topic in {each.topic for each in settings.inputs}:
        return "the platform makes the topics of inputs: check `topic` in the section [[inputs]]"
    return "make it with `truecount topics create --own-only`"
