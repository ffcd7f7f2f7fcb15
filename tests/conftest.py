"""Brokers as fixtures, and skips in plain sight.

``tansu`` and ``kafka`` give the address of a broker that runs for a whole session, in each of its processes. With
``broker`` a test runs once on each. They are shared: a test makes topics and groups of its own (``unique``), and
never kills them.
``kafka_server`` is one for a single test, to kill, freeze and start again. ``secured`` is a Kafka with TLS, passwords
and ACLs, for the tests of one file.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

from bench.testbed.brokers import BrokerAddress, BrokerError, KafkaServer, TansuServer, kafka_is_missing, kafka_jars
from bench.testbed.secured import SecuredKafka

# Taken away: it is no setting, and truecount refuses a TRUECOUNT_… that it does not know.
NO_SKIP = os.environ.pop("TRUECOUNT_NO_SKIP", "") not in {"", "0"}

hypothesis.settings.register_profile("shared_machine", deadline=None)
hypothesis.settings.load_profile("shared_machine")
"""A deadline of milliseconds measures what else the machine does; pytest's own bounds every test."""

KAFKA_FIXTURES = {"kafka", "kafka_server", "secured"}
BROKER_FIXTURES = KAFKA_FIXTURES | {"tansu", "broker"}


@pytest.fixture(scope="session")
def tansu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerAddress]:
    """The embedded broker: groups, no transactions, nothing on disk."""
    server = TansuServer(tmp_path_factory.mktemp("tansu"))
    server.start()
    yield server.address
    server.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerAddress]:
    """A real Apache Kafka. Skips in plain sight where Java or Maven are missing."""
    server = _new_kafka(tmp_path_factory.mktemp("kafka"), KafkaServer)
    server.start()
    yield server.address
    server.stop()


@pytest.fixture
def kafka_server(tmp_path: Path) -> Iterator[KafkaServer]:
    """A running Apache Kafka of the test's own, to kill, freeze and start again."""
    server = _new_kafka(tmp_path / "kafka", KafkaServer)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """A running Kafka with SASL_SSL, SCRAM-SHA-512, a CA of its own and an authorizer. Its worker has no ACL yet."""
    server = _new_kafka(tmp_path_factory.mktemp("secured"), SecuredKafka)
    server.start()
    yield server
    server.stop()


Server = TypeVar("Server", bound=KafkaServer)


def _new_kafka(directory: Path, kind: Callable[[Path, Path], Server]) -> Server:
    missing = kafka_is_missing()
    if missing is not None:
        pytest.skip(f"no real Kafka: {missing}")
    return kind(directory, kafka_jars())


@pytest.fixture(params=["tansu", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> BrokerAddress:
    """Each of the two brokers in turn."""
    address: BrokerAddress = request.getfixturevalue(request.param)
    return address


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Turns a word into a name that no other test uses: topics and groups of a shared broker."""
    return lambda word: f"{word}-{uuid.uuid4().hex[:8]}"


@pytest.hookimpl(tryfirst=True)  # before -m selects by these marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        if used & BROKER_FIXTURES:
            item.add_marker("integration")
        if used & KAFKA_FIXTURES:
            item.add_marker("kafka")
    if hasattr(config, "workerinput"):  # one of several processes
        _put_long_files_first(items)


def _file_of(item: pytest.Item) -> str:
    return item.nodeid.split("::")[0]


def _put_long_files_first(items: list[pytest.Item]) -> None:
    """Sort tests by file, so that no process begins a long file when the others have nothing left to do.

    Files with brokers come first, then those whose tests may take long, then those with many tests.
    """
    tests = Counter(map(_file_of, items))
    with_brokers = {_file_of(item) for item in items if item.get_closest_marker("integration")}
    allowed_seconds: dict[str, int] = {}
    for item in items:
        for mark in item.iter_markers("timeout"):
            file = _file_of(item)
            allowed_seconds[file] = max(mark.args[0], allowed_seconds.get(file, 0))

    def rank(item: pytest.Item) -> tuple[bool, int, int, str]:
        file = _file_of(item)
        return file not in with_brokers, -allowed_seconds.get(file, 0), -tests[file], file

    items.sort(key=rank)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch Kafka's jars before the first test, so that a slow mirror is not taken for a slow test."""
    wanted = any(item.get_closest_marker("kafka") for item in session.items)
    if wanted and not session.config.option.collectonly and kafka_is_missing() is None:
        try:
            kafka_jars()
        except BrokerError as error:
            raise pytest.UsageError(str(error)) from None


def _skips(config: pytest.Config) -> Counter[str]:
    """How many tests were skipped for each reason."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter is not None else []
    return Counter(_reason(report.longrepr) for report in reports)


def _reason(longrepr: object) -> str:
    # pytest describes a skip as (path, line, "Skipped: reason").
    return longrepr[2].removeprefix("Skipped: ") if isinstance(longrepr, tuple) else str(longrepr)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if NO_SKIP and session.exitstatus == pytest.ExitCode.OK and _skips(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)  # after all other summaries: the last lines are the ones read
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, None, None]:
    yield
    skips = _skips(config)
    for reason, count in skips.items():
        tests = "1 test" if count == 1 else f"{count} tests"
        terminalreporter.write_line(f"SKIPPED IN PLAIN SIGHT: {tests}: {reason}", yellow=True)
    if skips and NO_SKIP:
        sentence = "FAILED: nothing may be skipped here (TRUECOUNT_NO_SKIP is set). Install what is missing."
        terminalreporter.write_line(sentence, red=True)
