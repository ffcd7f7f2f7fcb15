"""The least access that truecount needs on the broker, as ``kafka-acls`` commands and as Strimzi resources."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import Literal, NamedTuple

from kafka.admin import NewTopic

from streams.kafka.clients import transactional_id
from streams.roles import Role, used_roles
from streams.settings.section import SettingsError
from streams.settings.settings import Settings

Operation = Literal["READ", "WRITE", "CREATE", "DESCRIBE"]
"""Kafka's operations. READ and WRITE include DESCRIBE."""

STRIMZI_VERSION = "kafka.strimzi.io/v1"


class Access(NamedTuple):
    """One operation on one resource, or on all resources whose name has a prefix."""

    resource: Literal["topic", "group", "transactional-id"]
    name: str
    operation: Operation
    prefixed: bool = False

    def __str__(self) -> str:
        return f"{self.operation} on {self.resource.replace('-', ' ')} {self.name}{'*' if self.prefixed else ''}"


def worker_access(settings: Settings, roles: Iterable[Role] | None = None) -> list[Access]:
    """What a worker with these roles (default: all used) needs. ``doctor`` and commands on the log need no more."""
    access: dict[Access, None] = {}
    for role in used_roles(settings) if roles is None else roles:
        for name in role.reads(settings):
            access[Access("topic", name, "READ")] = None
        if role.changelog is not None:
            access[Access("topic", role.changelog.name(settings), "READ")] = None
        for topic in role.written(settings):
            access[Access("topic", topic.name(settings), "WRITE")] = None
    access[Access("group", settings.app, "READ")] = None
    if settings.processing == "exactly_once":
        access[Access("transactional-id", transactional_id(settings.app, ""), "WRITE", prefixed=True)] = None
    return sorted(access)


def reader_access(settings: Settings) -> list[Access]:
    """What somebody needs who reads flags, corrections and counts, with ``truecount flags`` for instance."""
    outputs = {topic.name(settings) for role in used_roles(settings) for topic in role.aligned}
    return [Access("topic", name, "READ") for name in sorted(outputs)]


def creator_access(topics: Iterable[NewTopic]) -> list[Access]:
    """What ``truecount topics create`` needs for these topics."""
    return [Access("topic", topic.name, "CREATE") for topic in topics]


def principal_of(settings: Settings, given: str | None) -> str:
    """The principal of the ACLs, ``User:name``. Raises SettingsError if neither it nor a user name is given."""
    name = given or settings.broker.username
    if not name:
        raise SettingsError(
            "the ACLs need a user: set broker.username, or give --principal, for instance"
            " --principal User:CN=truecount for a client certificate"
        )
    return name if ":" in name else f"User:{name}"


# ---------------------------------------------------------------- kafka-acls


def acl_arguments(access: Iterable[Access], principal: str) -> list[list[str]]:
    """Arguments of ``kafka-acls``: one command for all resources of a kind with the same operations."""
    names: dict[tuple[str, bool, tuple[Operation, ...]], list[str]] = {}
    for (resource, prefixed, name), operations in _by_resource(access).items():
        names.setdefault((resource, prefixed, tuple(operations)), []).append(name)
    commands = []
    for (resource, prefixed, allowed), group in sorted(names.items()):
        command = ["--add", "--allow-principal", principal]
        for operation in allowed:
            command += ["--operation", operation.capitalize()]
        for name in sorted(group):
            command += [f"--{resource}", name]
        if prefixed:
            command += ["--resource-pattern-type", "prefixed"]
        commands.append(command)
    return commands


def acl_commands(access: Iterable[Access], principal: str, servers: str) -> list[str]:
    """Lines of a shell that grant this access. ``admin.properties`` is the configuration of an administrator."""
    begin = ["kafka-acls", "--bootstrap-server", servers, "--command-config", "admin.properties"]
    return [shlex.join([*begin, *arguments]) for arguments in acl_arguments(access, principal)]


def topic_commands(topics: Iterable[NewTopic], servers: str) -> list[str]:
    """Lines of a shell that create these topics."""
    lines = []
    for topic in topics:
        command = ["kafka-topics", "--bootstrap-server", servers, "--command-config", "admin.properties"]
        command += ["--create", "--if-not-exists", "--topic", topic.name, "--partitions", str(topic.num_partitions)]
        command += ["--replication-factor", str(topic.replication_factor)]
        for key, value in topic.topic_configs.items():
            command += ["--config", f"{key}={value}"]
        lines.append(shlex.join(command))
    return lines


# ---------------------------------------------------------------- Strimzi


def strimzi_user(access: Iterable[Access], principal: str, cluster: str) -> str:
    """A KafkaUser with SCRAM-SHA-512 and this access, as YAML. Names are JSON strings, which YAML reads too."""
    lines = [
        *_strimzi_head("KafkaUser", principal.removeprefix("User:"), cluster),
        "  authentication:",
        "    type: scram-sha-512",
        "  authorization:",
        "    type: simple",
        "    acls:",
    ]
    for (resource, prefixed, name), operations in sorted(_by_resource(access).items()):
        lines += [
            "      - resource:",
            f"          type: {'transactionalId' if resource == 'transactional-id' else resource}",
            f"          name: {json.dumps(name)}",
            f"          patternType: {'prefix' if prefixed else 'literal'}",
            f"        operations: [{', '.join(operation.capitalize() for operation in operations)}]",
        ]
    return "\n".join(lines)


def strimzi_topic(topic: NewTopic, cluster: str) -> str:
    """A KafkaTopic as YAML."""
    resource = topic.name.lower().replace("_", "-").strip(".-")
    lines = [
        *_strimzi_head("KafkaTopic", resource, cluster),
        f"  topicName: {json.dumps(topic.name)}",
        f"  partitions: {topic.num_partitions}",
        f"  replicas: {topic.replication_factor}",
    ]
    if topic.topic_configs:
        lines.append("  config:")
        lines += [f"    {key}: {json.dumps(value)}" for key, value in topic.topic_configs.items()]
    return "\n".join(lines)


def _strimzi_head(kind: str, name: str, cluster: str) -> list[str]:
    return [
        f"apiVersion: {STRIMZI_VERSION}",
        f"kind: {kind}",
        "metadata:",
        f"  name: {json.dumps(name)}",
        "  labels:",
        f"    strimzi.io/cluster: {json.dumps(cluster)}",
        "spec:",
    ]


def _by_resource(access: Iterable[Access]) -> dict[tuple[str, bool, str], list[Operation]]:
    """Kind of resource, whether prefixed, and name → its operations in order."""
    operations: dict[tuple[str, bool, str], list[Operation]] = {}
    for each in sorted(set(access)):
        operations.setdefault((each.resource, each.prefixed, each.name), []).append(each.operation)
    return operations
