"""The rendered pods as processes: truecount accepts their configuration, makes the topics and works on a real Kafka."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bench.testbed.brokers import BrokerAddress, free_port, log_tail
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
        assert settings.broker.secret() == (sasl.get("password", "secret") if sasl else "")


@pytest.mark.timeout(120)
def test_the_job_makes_the_topics_and_a_worker_becomes_ready(
    kafka: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    name = unique("chart")
    sets = [f"app={name}", f"prefix={name}.", f"kafka.servers={kafka.servers}", "kafka.replication=1"]
    sets += ["partitions=2", "topics.inputs=true"]
    config = tmp_path / "given.toml"
    config.write_text(f'[[inputs]]\ntopic = "{name}-views"\nmetric = "view"\n')
    objects = render(
        VALUES / "minimal.yaml", "--set-file", f"config={config}", *(word for each in sets for word in ("--set", each))
    )
    image = {
        "TRUECOUNT_WEB__PORT": str(free_port()),
        "TRUECOUNT_STATE__DIRECTORY": f"{tmp_path}/worker/var/lib/truecount",
    }
    environment = {**clean_environment(), "PYTHONPATH": str(ROOT), **image}

    job = Pod(dict(templates(objects))["Job"], objects, tmp_path / "job", {})
    job.write_files()
    made = subprocess.run(
        [sys.executable, "-m", "streams.cli", *job.command()],
        env={**environment, **job.environment()},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert f"created  {name}-views" in made.stdout

    pod = Pod(worker(objects), objects, tmp_path / "worker", {})
    pod.write_files()
    log = tmp_path / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", *pod.command()],
            env={**environment, **pod.environment()},
            cwd=tmp_path,
            stdout=output,
            stderr=output,
        )
    try:
        port = image["TRUECOUNT_WEB__PORT"]
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            path = pod.container[probe]["httpGet"]["path"]
            assert wait_until_ready(f"http://127.0.0.1:{port}{path}", process), log_tail(log)
    finally:
        process.terminate()
        assert process.wait(30) == 0, log_tail(log)
