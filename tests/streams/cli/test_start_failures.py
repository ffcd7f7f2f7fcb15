"""A start that cannot succeed ends with one sentence that names the culprit, without a traceback."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from bench.testbed.brokers import free_port
from bench.testbed.workers import CLI, clean_environment
from streams.service.probes import Web

AWAY = f"127.0.0.1:{free_port()}"


@pytest.fixture
def busy() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def started(words: list[str], variables: dict[str, str], directory: Path) -> subprocess.CompletedProcess[str]:
    """A command as a process of its own, to its end."""
    return subprocess.run(
        [*CLI, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**clean_environment(), "TRUECOUNT_REPORTS": str(directory), **variables},
    )


@pytest.mark.timeout(300)
def test_the_culprit_is_named(busy: int, tmp_path: Path) -> None:
    password = tmp_path / "password"
    worker = ["worker", "--servers", AWAY, "--port"]
    sasl = {"TRUECOUNT_BROKER__SECURITY_PROTOCOL": "SASL_PLAINTEXT"}
    user = {**sasl, "TRUECOUNT_BROKER__USERNAME": "me", "TRUECOUNT_BROKER__PASSWORD_FILE": str(password)}
    cases: list[tuple[list[str], dict[str, str], int, str]] = [
        ([*worker, str(busy)], {}, 2, f"web.port: port {busy} of 127.0.0.1 is in use by another process"),
        (
            [*worker, "0"],
            {"TRUECOUNT_WEB__HOST": "203.0.113.7"},
            2,
            "web.host: the metrics and probes cannot listen at",
        ),
        (["broker", "--port", str(busy)], {}, 3, f"port {busy} of 127.0.0.1 is in use by another process"),
        ([*worker, "0"], user, 2, f"broker.password_file: cannot read {password}: No such file or directory"),
        (["counts"], user, 2, f"broker.password_file: cannot read {password}: No such file or directory"),
        ([*worker, "0"], sasl, 2, "security_protocol SASL_PLAINTEXT needs a user name; set broker.username"),
        (["flags"], {"TRUECOUNT_BROKER_SERVERS": AWAY}, 2, "the nearest is TRUECOUNT_BROKER__SERVERS"),
        (["worker"], {"TRUECOUNT_CONFIG": str(tmp_path / "none")}, 2, f"cannot read {tmp_path}/none: No such file"),
    ]
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda case: started(case[0], case[1], tmp_path), cases))
    for (words, _, code, sentence), done in zip(cases, ended, strict=True):
        *logged, last = done.stderr.splitlines()
        assert done.returncode == code, (words, done.stderr)
        assert last.startswith("truecount: "), (words, done.stderr)
        assert sentence in last, words
        assert all(line.startswith("{") for line in logged), (words, done.stderr)
        assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("truecount-report-*")) == []


@pytest.mark.timeout(120)
def test_the_demo_names_what_its_worker_lacked(busy: int, tmp_path: Path) -> None:
    done = started(["demo", "--json", "--port", str(busy)], {}, tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"truecount: the demo's worker ended: web.port: port {busy} of 127.0.0.1 is in use")
    assert done.stderr.count("\n") == 1


def test_metrics_and_probes_listen_on_ipv6_too() -> None:
    web = Web(host="::1", port=0, registry=CollectorRegistry(), live=lambda: (True, ""), ready=lambda: (True, ""))
    web.start()
    with socket.create_connection(("::1", web.port), timeout=5):
        assert web.url == f"http://[::1]:{web.port}"
    web.stop()
