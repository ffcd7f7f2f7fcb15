"""The least access, and the forms in which it is printed."""

from __future__ import annotations

import json
import shlex

import pytest
import yaml

from streams.kafka.clients import transactional_id
from streams.maintenance.access import (
    Access,
    acl_arguments,
    creator_access,
    principal_of,
    reader_access,
    strimzi_topic,
    strimzi_user,
    topic_commands,
    worker_access,
)
from streams.roles import ROLES, own_topics, plan
from streams.settings.actors import Actors
from streams.settings.broker import Broker
from streams.settings.section import SettingsError
from streams.settings.settings import Settings
from tests.command import truecount

SETTINGS = Settings(app="audit", prefix="audit.", broker=Broker(servers="kafka:9093", username="auditor"))


WITHOUT_ACTORS = SETTINGS.model_copy(update={"actors": Actors(enabled=False)})


@pytest.mark.parametrize("settings", [SETTINGS, WITHOUT_ACTORS], ids=["all roles", "without actors"])
def test_inputs_and_log_are_read_state_is_both_and_outputs_are_written(settings: Settings) -> None:
    access = set(worker_access(settings))
    of_actors = {"audit.by-actor", "audit.actors-state"} if settings is SETTINGS else set()
    assert {each.name for each in access if each.operation == "READ" and each.resource == "topic"} == {
        *(each.topic for each in settings.inputs),
        "audit.by-target",
        "audit.ingest-state",
        "audit.targets-state",
        *of_actors,
    }
    assert {each.name for each in access if each.operation == "WRITE" and each.resource == "topic"} == {
        topic.name(settings) for topic in own_topics(settings)
    }
    assert Access("group", "audit", "READ") in access


def test_a_worker_of_one_role_needs_only_what_that_role_uses() -> None:
    access = worker_access(SETTINGS, [ROLES["ingest"]])
    assert Access("topic", "audit.by-target", "READ") not in access
    assert Access("topic", "audit.by-target", "WRITE") in access
    assert not [each for each in access if each.name == "audit.flagged-events"]


def test_the_prefix_of_transactional_ids_covers_every_task_and_only_with_transactions() -> None:
    (transactions,) = [each for each in worker_access(SETTINGS) if each.resource == "transactional-id"]
    assert transactions.prefixed
    assert transactional_id("audit", "targets-3").startswith(transactions.name)
    plain = SETTINGS.model_copy(update={"processing": "at_least_once"})
    assert not [each for each in worker_access(plain) if each.resource == "transactional-id"]


def test_a_reader_may_read_outputs_and_no_state() -> None:
    names = {each.name for each in reader_access(SETTINGS)}
    assert {"audit.flagged-events", "audit.corrections", "audit.audited-counts"} <= names
    assert not names & {"audit.by-target", "audit.ingest-state", "audit.targets-state"}
    assert {each.operation for each in reader_access(SETTINGS)} == {"READ"}


def test_topics_with_the_same_operations_share_a_command() -> None:
    commands = acl_arguments([Access("topic", "b", "READ"), Access("topic", "a", "READ")], "User:x")
    assert commands == [
        ["--add", "--allow-principal", "User:x", "--operation", "Read", "--topic", "a", "--topic", "b"],
    ]


def test_the_user_of_strimzi_has_the_same_access() -> None:
    access = worker_access(SETTINGS)
    user = yaml.safe_load(strimzi_user(access, "User:auditor", "main"))
    assert (user["kind"], user["metadata"]["name"]) == ("KafkaUser", "auditor")
    assert user["metadata"]["labels"] == {"strimzi.io/cluster": "main"}
    kinds = {"topic": "topic", "group": "group", "transactionalId": "transactional-id"}
    found = {
        (kinds[acl["resource"]["type"]], acl["resource"]["name"], op.upper(), acl["resource"]["patternType"])
        for acl in user["spec"]["authorization"]["acls"]
        for op in acl["operations"]
    }
    assert found == {(a.resource, a.name, a.operation, "prefix" if a.prefixed else "literal") for a in access}


def test_the_topics_of_strimzi_are_those_that_would_be_created() -> None:
    settings = SETTINGS.model_copy(update={"prefix": "Audit_1."})
    for topic in plan(settings, inputs=False):
        resource = yaml.safe_load(strimzi_topic(topic, "main"))
        assert resource["spec"] == {
            "topicName": topic.name,
            "partitions": topic.num_partitions,
            "replicas": topic.replication_factor,
            "config": topic.topic_configs,
        }
        assert resource["metadata"]["name"].startswith("audit-1."), "a name that Kubernetes accepts"


def test_commands_for_topics_have_partitions_replication_and_configuration() -> None:
    (topic,) = [topic for topic in plan(SETTINGS, inputs=False) if topic.name == "audit.corrections"]
    (line,) = topic_commands([topic], "kafka:9093")
    words = shlex.split(line)
    assert words[words.index("--topic") + 1] == "audit.corrections"
    assert words[words.index("--partitions") + 1] == "8"
    assert words[words.index("--config") + 1] == "retention.ms=-1"


@pytest.mark.parametrize(
    ("given", "principal"), [(None, "User:auditor"), ("bob", "User:bob"), ("User:CN=truecount", "User:CN=truecount")]
)
def test_the_principal_is_given_or_the_user_of_the_settings(given: str | None, principal: str) -> None:
    assert principal_of(SETTINGS, given) == principal


def test_without_a_user_there_is_no_principal() -> None:
    with pytest.raises(SettingsError, match="--principal"):
        principal_of(Settings(), None)


@pytest.mark.parametrize(
    ("purpose", "expected"),
    [
        ("worker", worker_access(Settings())),
        ("reader", reader_access(Settings())),
        ("topics", sorted(creator_access(plan(Settings(), inputs=False)))),
    ],
)
def test_the_command_prints_the_access_for_a_purpose(purpose: str, expected: list[Access]) -> None:
    done = truecount("acls", "--principal", "x", "--for", purpose, "--json")
    printed = json.loads(done.stdout)
    assert printed["principal"] == "User:x"
    assert sorted(Access(**each) for each in printed["access"]) == expected


def test_an_unknown_purpose_is_refused_with_those_there_are() -> None:
    done = truecount("acls", "--principal", "x", "--for", "everything")
    assert done.returncode == 2
    assert "must be worker, topics or reader" in done.stderr


def test_a_dry_run_prints_the_topics_and_needs_no_broker() -> None:
    done = truecount("topics", "create", "--own-only", "--dry-run", "--servers", "kafka.invalid:9092")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == len(plan(Settings(), inputs=False))
    assert "--topic views" not in done.stdout
    resources = truecount("topics", "create", "--own-only", "--dry-run", "--strimzi", "main")
    assert len(list(yaml.safe_load_all(resources.stdout))) == len(plan(Settings(), inputs=False))


def test_strimzi_without_a_dry_run_is_refused() -> None:
    done = truecount("topics", "create", "--strimzi", "main")
    assert done.returncode == 2
    assert "needs --dry-run" in done.stderr
