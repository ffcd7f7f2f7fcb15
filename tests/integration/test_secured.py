"""A worker on a Kafka with TLS, passwords and ACLs: what it needs, and what is said if one thing is wrong."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLFilter, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.admin import ACLResourcePatternType as PatternType

from bench.testbed.brokers import free_port
from bench.testbed.secured import ADMIN, MECHANISM, WORKER, Certificates, SecuredKafka
from bench.testbed.workers import Installation, Worker, install, run_cli
from streams.kafka.clients import kafka_python_options
from streams.maintenance.access import Access, worker_access
from streams.maintenance.doctor import Check, run_checks
from streams.settings.settings import load
from tests.integration.test_worker import events, per_target, raw_by_target

NAMED_WITHIN_SECONDS = 15
PRINCIPAL = f"User:{WORKER}"

Unique = Callable[[str], str]


@pytest.fixture
def truecount(secured: SecuredKafka, tmp_path: Path, unique: Unique) -> Installation:
    """An installation whose topics exist, and whose worker has no ACL."""
    return install(
        secured.address,
        tmp_path,
        unique,
        broker_lines=secured.broker_lines(tmp_path),
        client=secured.broker(ADMIN),
    )


class Authority:
    """Grants and removes ACLs as the administrator."""

    def __init__(self, server: SecuredKafka) -> None:
        self._admin = KafkaAdminClient(**kafka_python_options(server.broker(ADMIN)))

    def grant(self, access: list[Access]) -> None:
        self._admin.create_acls([_acl(each) for each in access])

    @contextmanager
    def without(self, access: Access) -> Iterator[None]:
        """One ACL is missing meanwhile."""
        acl = _acl(access)
        self._admin.delete_acls(
            [ACLFilter(acl.principal, acl.host, acl.operation, acl.permission_type, acl.resource_pattern)]
        )
        yield
        self._admin.create_acls([acl])

    def close(self) -> None:
        self._admin.close()


def _acl(access: Access) -> ACL:
    kind = ResourceType[access.resource.replace("-", "_").upper()]
    pattern = ResourcePattern(kind, access.name, PatternType.PREFIXED if access.prefixed else PatternType.LITERAL)
    return ACL(PRINCIPAL, "*", ACLOperation[access.operation], ACLPermissionType.ALLOW, pattern)


@pytest.fixture
def authority(secured: SecuredKafka) -> Iterator[Authority]:
    authority = Authority(secured)
    yield authority
    authority.close()


def doctor(config: Path) -> dict[str, Check]:
    """The checks of ``truecount doctor``, which must end in time."""
    began = time.monotonic()
    checks = run_checks(load(config, {}))
    assert time.monotonic() - began < NAMED_WITHIN_SECONDS
    return {check.what: check for check in checks}


def bad(checks: dict[str, Check]) -> list[str]:
    """What is wrong."""
    return [what for what, check in checks.items() if not check.ok]


def wait_for_line(worker: Worker, text: str) -> None:
    """Wait until the worker's log has a text, for as long as an operator may have to."""
    worker.wait_for(lambda: text in worker.log.read_text(), f"log {text!r}", NAMED_WITHIN_SECONDS)


def printed_acls(config: Path) -> list[list[str]]:
    """The arguments of the ``kafka-acls`` commands that ``truecount acls`` prints, without those of the connection."""
    done = run_cli("acls", "--config", str(config))
    assert done.returncode == 0, done.stderr
    commands = [shlex.split(line) for line in done.stdout.splitlines()]
    assert all(command[0] == "kafka-acls" for command in commands)
    return [command[command.index("--add") :] for command in commands]


@pytest.mark.timeout(180)
def test_with_exactly_the_printed_acls_every_event_is_counted_once(
    secured: SecuredKafka, truecount: Installation
) -> None:
    secured.grant(printed_acls(truecount.config))
    done = run_cli("doctor", "--config", str(truecount.config))
    assert done.returncode == 0, done.stdout + done.stderr

    truecount.send(truecount.inputs["view"], [*events(1500), b"not json"])
    with truecount.worker(name="first") as worker:
        truecount.wait_drained(1500)
        worker.kill()
    truecount.send(truecount.inputs["view"], events(1500, start=1500))
    with truecount.worker(name="second"):
        truecount.wait_drained(3000)
    assert raw_by_target(truecount) == per_target(3000)
    assert len(truecount.records(truecount.topics.dead_letters)) == 1


@pytest.mark.timeout(180)
def test_the_doctor_names_each_acl_that_is_missing_and_no_other(truecount: Installation, authority: Authority) -> None:
    needed = worker_access(truecount.settings)
    authority.grant(needed)
    assert {each.resource for each in needed} == {"topic", "group", "transactional-id"}
    for access in needed:
        with authority.without(access):
            checks = doctor(truecount.config)
        assert bad(checks) == ["access"], (access, checks)
        assert checks["access"].message == f"{PRINCIPAL} may not {access}; an administrator can grant it:"
        (command,) = checks["access"].commands
        assert f"--operation {access.operation.capitalize()} --{access.resource} {access.name}" in command


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_commands_of_the_doctor_grant_what_is_missing(secured: SecuredKafka, truecount: Installation) -> None:
    done = run_cli("doctor", "--config", str(truecount.config))
    assert done.returncode == 1
    commands = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("kafka-acls")]
    secured.grant([command[command.index("--add") :] for command in commands])
    assert bad(doctor(truecount.config)) == []


@pytest.mark.timeout(120)
def test_a_worker_says_which_acl_is_missing_and_starts_when_it_is_granted(
    truecount: Installation, authority: Authority
) -> None:
    needed = worker_access(truecount.settings)
    authority.grant(needed)
    by_kind = {each.resource: each for each in needed}
    for access in by_kind.values():
        worker = truecount.start(name=access.resource)
        with authority.without(access):
            wait_for_line(worker, f"{WORKER} may not {access}")
            status, detail = worker.probe("/readyz")
            assert (status, str(access) in detail) == (503, True), detail
            assert worker.probe("/livez")[0] == 200
        worker.wait_ready()
        assert "the wait is over" in worker.log.read_text()
        worker.stop()


@pytest.mark.timeout(120)
def test_access_that_is_withdrawn_from_a_running_worker_is_named(truecount: Installation, authority: Authority) -> None:
    authority.grant(worker_access(truecount.settings))
    access = Access("group", truecount.settings.app, "READ")
    with truecount.worker() as worker:
        with authority.without(access):
            wait_for_line(worker, f"{WORKER} may not {access}")
        worker.wait_ready()


WRONG = {
    "password": "the broker refuses the user 'truecount'",
    "user": "the broker refuses the user 'nobody'",
    "mechanism": f"does not offer the SASL mechanism PLAIN; it offers {MECHANISM}",
    "certificate": "the TLS certificate of the broker is not accepted",
    "no_certificate": "the TLS certificate of the broker is not accepted",
    "name_of_certificate": "the TLS certificate of the broker is for another host name",
    "host": "the host name cannot be resolved",
    "port": "nothing listens on this port",
    "plain": "the listener uses TLS",
    "without_tls": "the listener uses TLS",
    "without_sasl": f"the listener asks for SASL ({MECHANISM})",
}
"""What is wrong → what must be said."""


def wrong_config(server: SecuredKafka, truecount: Installation, wrong: str) -> Path:
    """The configuration with one thing wrong."""
    text = truecount.config.read_text()
    directory = truecount.directory
    password = directory / "wrong.password"
    password.write_text("wrong")
    authority = str(server.certificates.authority)
    changes = {
        "password": (str(directory / f"{WORKER}.password"), str(password)),
        "user": (f'username = "{WORKER}"', 'username = "nobody"'),
        "mechanism": (f'"{MECHANISM}"', '"PLAIN"'),
        "certificate": (authority, str(Certificates(directory / "other").authority)),
        "no_certificate": (f'ssl_cafile = "{authority}"', ""),
        "name_of_certificate": ("localhost:", "127.0.0.1:"),
        "host": ("localhost:", "kafka.invalid:"),
        "port": (f"localhost:{server.port}", f"localhost:{free_port()}"),
        "plain": ('"SASL_SSL"', '"PLAINTEXT"'),
        "without_tls": ('"SASL_SSL"', '"SASL_PLAINTEXT"'),
        "without_sasl": ('"SASL_SSL"', '"SSL"'),
    }
    before, after = changes[wrong]
    assert before in text
    config = directory / f"{wrong}.toml"
    config.write_text(text.replace(before, after))
    return config


@pytest.mark.timeout(180)
def test_a_connection_that_is_wrong_in_one_thing_is_reported_as_exactly_that(
    secured: SecuredKafka, truecount: Installation
) -> None:
    for wrong, sentence in WRONG.items():
        checks = doctor(wrong_config(secured, truecount, wrong))
        assert bad(checks) == ["broker"], (wrong, checks)
        assert sentence in checks["broker"].message, wrong


@pytest.mark.timeout(180)
def test_the_log_of_a_worker_names_what_is_wrong_with_its_connection_once(
    secured: SecuredKafka, truecount: Installation
) -> None:
    for wrong in ("password", "certificate", "host", "name_of_certificate"):
        worker = truecount.start(name=wrong, config=wrong_config(secured, truecount, wrong))
        wait_for_line(worker, WRONG[wrong])
        assert WRONG[wrong] in worker.probe("/readyz")[1]
        worker.stop()
        assert worker.log.read_text().count(WRONG[wrong]) == 1


@pytest.mark.timeout(120)
def test_without_its_topics_the_doctor_tells_to_create_own_topics_only(
    secured: SecuredKafka, tmp_path: Path, unique: Unique, authority: Authority
) -> None:
    lines = secured.broker_lines(tmp_path)
    truecount = install(secured.address, tmp_path, unique, broker_lines=lines, topics=False)
    authority.grant(worker_access(truecount.settings))
    checks = doctor(truecount.config)
    assert "truecount topics create --own-only" in checks["topics"].message
    (command,) = checks["access to create topics"].commands
    assert f"--operation Create --topic {truecount.topics.audited_counts}" in command
    for topic in truecount.inputs.values():
        assert "the platform makes the topics of inputs" in checks[f"input {topic}"].message
        assert topic not in checks["topics"].message
