"""Every command line of docker-compose.yml as a process: truecount on a real Kafka, Prometheus with Alertmanager."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.testbed.brokers import KafkaServer, free_port, log_tail
from tests.deploy.compose import KAFKA, SERVICES, mounts, start, translated, truecount
from tests.deploy.conftest import ROOT
from tests.deploy.processes import PATIENCE_SECONDS, wait_until_ready
from tests.deploy.small_yaml import read

RULES = sorted((ROOT / "deploy" / "prometheus").glob("*rules.yml"))
ALERTS = [rule for file in RULES for group in read(file)["groups"] for rule in group["rules"] if "alert" in rule]
RECEIVERS = {"critical": "now", "warning": "today"}
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"


def tool(*names: str) -> str:
    """Path of the first of these programs that is installed. Skips in plain sight."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip(f"{names[0]} is missing (on Debian: apt-get install prometheus prometheus-alertmanager)")


def ask(url: str) -> Any:
    """The JSON at an address."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  # loopback
        return json.load(answer)


def wait_for(condition: Callable[[], bool], log: Path) -> None:
    """Wait until it holds. Fails after PATIENCE_SECONDS with the end of the log."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, log_tail(log)
        time.sleep(0.2)


def test_every_service_with_a_command_is_run_by_a_test_of_this_file() -> None:
    assert {name for name, service in SERVICES.items() if "command" in service} == {
        *("topics", "worker", "traffic"),
        *("prometheus", "alertmanager"),
    }


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes of a test, which are stopped at its end."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in reversed(started):
        process.terminate()
    for process in reversed(started):
        process.wait(60)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_workers_share_the_topics_that_the_job_makes_and_count_the_traffic(
    kafka_server: KafkaServer, tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    """As `docker compose --profile load up --scale worker=2`."""
    servers = {"TRUECOUNT_BROKER__SERVERS": kafka_server.address.servers}
    assert {
        service["environment"]["TRUECOUNT_BROKER__SERVERS"]
        for service in map(SERVICES.get, ("topics", "worker", "traffic"))
        if service
    } == {KAFKA}
    command, environment = truecount("topics", tmp_path / "topics", **servers)
    created = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert created.returncode == 0, created.stdout + created.stderr

    ports = [free_port(), free_port()]
    logs = [tmp_path / f"worker-{port}.log" for port in ports]
    for port, log in zip(ports, logs, strict=True):
        command, environment = truecount("worker", tmp_path / str(port), TRUECOUNT_WEB__PORT=str(port), **servers)
        processes.append(start(command, log, environment))
    for port, log, process in zip(ports, logs, list(processes), strict=True):
        assert wait_until_ready(f"http://127.0.0.1:{port}/readyz", process), log_tail(log)
    command, environment = truecount("traffic", tmp_path / "traffic", **servers)
    processes.append(start(command, tmp_path / "traffic.log", environment))
    for port, log in zip(ports, logs, strict=True):
        wait_for(lambda port=port: counted(port) > 0, log)  # type: ignore[misc]  # a lambda with a default
    assert processes[-1].poll() is None, log_tail(tmp_path / "traffic.log")
    for process in reversed(processes):
        process.terminate()
    assert [process.wait(60) for process in processes[:2]] == [0, 0], "\n".join(map(log_tail, logs))


def counted(port: int) -> float:
    """Events that a worker has taken from its inputs."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("truecount_events_total"))


def test_an_alert_of_prometheus_arrives_at_the_receiver_of_its_severity(
    tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    manager_url, prometheus_url = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    manager = SERVICES["alertmanager"]
    command = translated(manager["command"], mounts(manager, tmp_path / "manager"))
    program = tool("prometheus-alertmanager", "alertmanager")
    processes.append(start([program, *command, listen(manager_url)], tmp_path / "manager.log"))
    assert wait_until_ready(f"{manager_url}/-/ready", processes[-1]), log_tail(tmp_path / "manager.log")

    server = SERVICES["prometheus"]
    paths = mounts(server, tmp_path / "prometheus")
    config = paths["/etc/prometheus"] / "prometheus.yml"
    text = config.read_text().replace("alertmanager:9093", manager_url.removeprefix("http://"))
    config.write_text(text.replace("evaluation_interval: 15s", "evaluation_interval: 1s"))
    always = "groups: [{name: always, rules: [{alert: Always, expr: vector(1), labels: {severity: critical}}]}]\n"
    (config.parent / "more-rules.yml").write_text(always)
    command = translated(server["command"], paths)
    # It evaluates its rules before it has found Alertmanager, and sends an alert again only after a minute.
    command += ["--rules.alert.resend-delay=1s", listen(prometheus_url)]
    processes.append(start([tool("prometheus"), *command], tmp_path / "prometheus.log"))
    assert wait_until_ready(f"{prometheus_url}/-/ready", processes[-1]), log_tail(tmp_path / "prometheus.log")

    def arrived() -> bool:
        return any(alert["labels"]["alertname"] == "Always" for alert in ask(f"{manager_url}/api/v2/alerts"))

    wait_for(arrived, tmp_path / "prometheus.log")
    (alert,) = [each for each in ask(f"{manager_url}/api/v2/alerts") if each["labels"]["alertname"] == "Always"]
    assert alert["receivers"] == [{"name": RECEIVERS["critical"]}]
    loaded = {group["name"] for group in ask(f"{prometheus_url}/api/v1/rules")["data"]["groups"]}
    assert {group["name"] for file in RULES for group in read(file)["groups"]} < loaded


def listen(url: str) -> str:
    """The option that replaces a container's port by one of this machine."""
    return f"--web.listen-address={url.removeprefix('http://')}"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_goes_to_the_receiver_of_its_severity(alert: dict[str, Any]) -> None:
    labels = [f"alertname={alert['alert']}", f"severity={alert['labels']['severity']}", "job=truecount"]
    amtool = [tool("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER}"]
    done = subprocess.run([*amtool, *labels], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == RECEIVERS[alert["labels"]["severity"]], done.stderr


def test_amtool_accepts_the_configuration() -> None:
    done = subprocess.run(
        [tool("amtool"), "check-config", str(ALERTMANAGER)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_kafka_s_health_check_tells_an_open_port_from_a_closed_one() -> None:
    kind, *words = SERVICES["kafka"]["healthcheck"]["test"]
    assert kind == "CMD"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        here = [word.replace(KAFKA.rpartition(":")[2], port) for word in words]
        assert here != words
        assert subprocess.run(here, check=False, capture_output=True).returncode == 0
    assert subprocess.run(here, check=False, capture_output=True).returncode != 0
