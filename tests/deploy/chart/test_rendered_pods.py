"""The rendered pods as processes: truecount accepts their configuration, makes the topics and works on a real Kafka."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bench.testbed.brokers import BrokerAddress, free_port, log_tail
from bench.testbed.secured import ADMIN, SecuredKafka
from bench.testbed.workers import clean_environment
from streams.settings.settings import load
from tests.deploy.chart.rendering import POD_NAME, VALUES, Pod, render, templates, worker
from tests.deploy.conftest import ROOT
from tests.deploy.processes import wait_until_ready

OTHERS = {
    "audit-user": {"password": "secret"},
    "cluster-ca-cert": {"ca.crt": "an authority"},
    "audit-client": {"user.crt": "a certificate", "user.key": "a key"},
}
"""What is in the secrets that the values name."""


@pytest.mark.parametrize("values", sorted(VALUES.glob("*.yaml")), ids=lambda path: path.stem)
def test_truecount_accepts_the_configuration_of_each_pod(values: Path, tmp_path: Path) -> None:
    objects = render(values)
    given = yaml.safe_load(values.read_text())
    for kind, template in templates(objects):
        pod = Pod(template, objects, tmp_path / kind, OTHERS)
        pod.write_files()
        config = pod.command()[-1] if pod.command()[-1].endswith(".toml") else pod.command()[-2]
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", "config", "check", config],
            env={**clean_environment(), "PYTHONPATH": str(ROOT), **pod.environment()},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        settings = load(Path(config), pod.environment())
        assert settings.broker.instance_id == (POD_NAME if kind == "StatefulSet" else "")
        assert settings.app == given.get("app", "truecount")
        assert settings.broker.security_protocol == given["kafka"].get("securityProtocol", "PLAINTEXT")
        for path in (settings.broker.ssl_cafile, settings.broker.ssl_certfile, settings.broker.ssl_keyfile):
            assert path is None or path.is_file()
        sasl = given["kafka"].get("sasl", {})
        assert settings.broker.username == sasl.get("username", "")
        if sasl:
            assert settings.broker.secret() == sasl.get("password", "secret")


def plain_kafka(broker: BrokerAddress) -> list[str]:
    """Values for a Kafka without passwords."""
    return [f"kafka.servers={broker.servers}"]


def secured_kafka(server: SecuredKafka) -> list[str]:
    """Values for a Kafka with SASL_SSL; the chart makes the secrets."""
    client = server.broker(ADMIN)
    return [
        f"kafka.servers={client.servers}",
        f"kafka.securityProtocol={client.security_protocol}",
        f"kafka.sasl.mechanism={client.sasl_mechanism}",
        f"kafka.sasl.username={client.username}",
        f"kafka.sasl.password={client.secret()}",
    ]


@pytest.mark.integration
@pytest.mark.kafka
@pytest.mark.timeout(180)
@pytest.mark.parametrize("security", ["kafka", "secured"])
def test_the_job_makes_the_topics_and_a_worker_becomes_ready(
    request: pytest.FixtureRequest, security: str, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    server = request.getfixturevalue(security)
    name = unique("chart")
    config = tmp_path / "given.toml"
    config.write_text(f'[[inputs]]\ntopic = "{name}-views"\nmetric = "view"\n')
    options = ["--set-file", f"config={config}"]
    sets = [f"app={name}", f"prefix={name}.", "kafka.replication=1", "partitions=2", "topics.inputs=true"]
    if security == "secured":
        sets += secured_kafka(server)
        options += ["--set-file", f"kafka.tls.ca={server.certificates.authority}"]
    else:
        sets += plain_kafka(server)
    objects = render(VALUES / "minimal.yaml", *options, *(word for each in sets for word in ("--set", each)))
    port = str(free_port())
    image = {"TRUECOUNT_WEB__PORT": port, "TRUECOUNT_STATE__DIRECTORY": f"{tmp_path}/worker/var/lib/truecount"}

    job = Pod(dict(templates(objects))["Job"], objects, tmp_path / "job", {})
    made = subprocess.run(
        command(job), env=environment(job, image), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert f"created  {name}-views" in made.stdout

    pod = Pod(worker(objects), objects, tmp_path / "worker", {})
    log = tmp_path / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(pod), env=environment(pod, image), cwd=tmp_path, stdout=output, stderr=output
        )
    try:
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            path = pod.container[probe]["httpGet"]["path"]
            assert wait_until_ready(f"http://127.0.0.1:{port}{path}", process), log_tail(log)
    finally:
        process.terminate()
        code = process.wait(30)
    assert code == 0, log_tail(log)


def command(pod: Pod) -> list[str]:
    """The command of a pod, whose files are written."""
    pod.write_files()
    return [sys.executable, "-m", "streams.cli", *pod.command()]


def environment(pod: Pod, image: dict[str, str]) -> dict[str, str]:
    """The environment of a pod's process: the image's variables, and the pod's."""
    return {**clean_environment(), "PYTHONPATH": str(ROOT), **image, **pod.environment()}
