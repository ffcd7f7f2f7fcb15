"""Asks the broker which access is missing. Nothing is read, written or created, and no task of a worker is fenced."""

from __future__ import annotations

from collections.abc import Iterable

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import MemberToRemove, NewTopic
from kafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailedError,
)

from streams.kafka.clients import kafka_python_options, transactional_id
from streams.kafka.errors import BrokerError, describe
from streams.kafka.topics import admin
from streams.maintenance.access import Access
from streams.settings.settings import Settings

PROBE = "doctor"
"""In the place of a task in a transactional id. No role has this name, so no task of a worker is fenced."""
PROBE_SECONDS = 5


def missing_access(settings: Settings, access: Iterable[Access]) -> list[Access]:
    """Those of ``access`` that the broker does not allow. CREATE is not checked. Raises BrokerError."""
    wanted = list(access)
    client = admin(settings)
    try:
        refused = _topics_refused(client, [each for each in wanted if each.resource == "topic"])
        for each in wanted:
            if each.resource == "group" and not _group_allowed(client, each.name):
                refused.append(each)
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        client.close()
    for each in wanted:
        if each.resource == "transactional-id" and not _transactions_allowed(settings):
            refused.append(each)
    return refused


def creation_refused(settings: Settings, topics: list[NewTopic]) -> list[Access]:
    """CREATE on those of these topics that this user may not create. Nothing is created. Raises BrokerError."""
    client = admin(settings)
    try:
        return [Access("topic", topic.name, "CREATE") for topic in topics if not _creation_allowed(client, topic)]
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        client.close()


def _creation_allowed(client: KafkaAdminClient, topic: NewTopic) -> bool:
    try:
        client.create_topics([topic], validate_only=True)
    except (TopicAuthorizationFailedError, ClusterAuthorizationFailedError):
        return False
    except KafkaError:
        return True  # allowed, and refused for another reason: creating it will say which
    return True


def _topics_refused(client: KafkaAdminClient, wanted: list[Access]) -> list[Access]:
    """By the operations that the broker says are authorised. One that does not say, or not readably, is believed."""
    if not wanted:
        return []
    try:
        described = {topic["name"]: topic for topic in client.describe_topics(sorted({each.name for each in wanted}))}
    except ValueError:  # kafka-python does not know one of the operations
        return []
    refused = []
    for each in wanted:
        topic = described[each.name]
        authorized = topic.get("authorized_operations")
        hidden = topic["error_code"] == TopicAuthorizationFailedError.errno
        if hidden or (authorized and each.operation not in authorized and "ALL" not in authorized):
            refused.append(each)
    return refused


def _group_allowed(client: KafkaAdminClient, group: str) -> bool:
    """Whether a member may join a group. A group that does not exist has no authorised operations to ask for.

    So a member that does not exist is asked to leave, which needs the same operation as to join.
    """
    try:
        authorized = _group_operations(client, group)
        if authorized:
            return "READ" in authorized or "ALL" in authorized
        left = client.remove_group_members(group, [MemberToRemove(member_id=f"truecount-{PROBE}")])
    except GroupAuthorizationFailedError:
        return False
    except KafkaError:
        return True  # unknown group or member, or no coordinator yet: the broker did not refuse
    return GroupAuthorizationFailedError not in left.values()


def _group_operations(client: KafkaAdminClient, group: str) -> list[str]:
    try:
        described = client.describe_groups([group]).get(group, {})
    except ValueError:  # kafka-python does not know one of the operations
        return []
    return described.get("authorized_operations") or []


def _transactions_allowed(settings: Settings) -> bool:
    """Whether this user may own the transactional ids of tasks. Raises BrokerError if the broker does not answer."""
    producer = None
    try:
        producer = KafkaProducer(
            transactional_id=transactional_id(settings.app, PROBE),
            max_block_ms=PROBE_SECONDS * 1000,
            **kafka_python_options(settings.broker),
        )
        producer.init_transactions()
    except TransactionalIdAuthorizationFailedError:
        return False
    except (KafkaError, OSError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        if producer is not None:
            producer.close(timeout=0)
    return True
