"""docker-compose.yml and the image: what can be said of them without an engine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest

from streams.settings.settings import load
from tests.deploy.compose import COMPOSE, DOCKERFILE, IMAGE_ENVIRONMENT, OURS, SERVICES, instruction
from tests.deploy.conftest import ROOT
from tests.deploy.small_yaml import read

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES.keys())


COMMANDS = {name: service["command"] for name, service in OURS.items()} | {"Dockerfile": instruction("CMD")}


def test_the_file_has_no_version_key() -> None:
    assert "version" not in COMPOSE


@each_service
def test_images_are_pinned(service: dict[str, Any]) -> None:
    _, _, tag = service["image"].rpartition(":")
    assert tag
    assert tag != "latest"


@each_service
def test_ports_are_published_on_loopback_alone(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@each_service
def test_a_service_is_bounded_and_cannot_gain_privileges(service: dict[str, Any]) -> None:
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert service["security_opt"] == ["no-new-privileges:true"]


@each_service
def test_what_is_waited_for_exists_and_can_be_waited_for(service: dict[str, Any]) -> None:
    for name, wait in service.get("depends_on", {}).items():
        waited_for = SERVICES[name]
        if wait["condition"] == "service_healthy":
            own = waited_for.get("healthcheck")
            assert own is None or "test" in own
            assert own is not None or name in OURS, "the image of truecount brings a healthcheck"
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert waited_for["restart"] == "no"


@each_service
def test_what_is_mounted_exists(service: dict[str, Any]) -> None:
    for mount in service.get("volumes", []):
        source, colon, _ = mount.partition(":")
        if not colon:
            assert f'VOLUME ["{source}"]' in DOCKERFILE
            continue
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", OURS)
def test_the_environment_is_one_that_truecount_accepts(name: str) -> None:
    """A misspelled TRUECOUNT_ variable would stop the container at its start."""
    assert IMAGE_ENVIRONMENT.keys() == {"TRUECOUNT_WEB__HOST", "TRUECOUNT_WEB__PORT", "TRUECOUNT_STATE__DIRECTORY"}
    settings = load(ROOT / "deploy" / "truecount.toml", environ={**IMAGE_ENVIRONMENT, **OURS[name]["environment"]})
    assert settings.broker.servers == "kafka:19092"
    assert f"INSIDE://{settings.broker.servers}" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_every_worker_is_scraped_where_it_listens_and_none_has_a_fixed_port() -> None:
    """So that `--scale worker=2` works: a port or a volume of the host can belong to one container only."""
    scrape = read(ROOT / "deploy" / "prometheus" / "prometheus.yml")["scrape_configs"][0]
    (discovery,) = scrape["dns_sd_configs"]
    assert (discovery["names"], discovery["type"]) == (["worker"], "A")
    assert discovery["port"] == IMAGE_ENVIRONMENT["TRUECOUNT_WEB__PORT"]
    worker = SERVICES["worker"]
    assert worker["ports"] == [f"127.0.0.1::{discovery['port']}"]
    assert "container_name" not in worker
    shared = [mount for mount in worker["volumes"] if ":" in mount]
    assert all(mount.endswith(":ro") for mount in shared), "workers would write into one volume"


def test_grafana_opens_on_a_dashboard_that_exists() -> None:
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folder, _, name = home.rpartition("/")
    (source,) = [mount.split(":")[0] for mount in SERVICES["grafana"]["volumes"] if mount.split(":")[1] == folder]
    assert (ROOT / source / name).is_file()


def test_prometheus_finds_alertmanager() -> None:
    (manager,) = read(ROOT / "deploy" / "prometheus" / "prometheus.yml")["alerting"]["alertmanagers"]
    (target,) = manager["static_configs"][0]["targets"]
    name, _, port = target.partition(":")
    assert SERVICES[name]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_the_image_runs_truecount_as_nobody_special() -> None:
    assert instruction("ENTRYPOINT") == ["truecount"]
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE
    assert "/livez" in DOCKERFILE


def test_what_the_image_is_built_from_is_let_into_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert "*" in ignored
    assert {f"!{source}" for source in copied} <= set(ignored)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_truecount_knows_the_command_line(command: list[str]) -> None:
    """Run as a process: the subcommand has a help page, and every option given stands in it."""
    options = [word for word in command if word.startswith("--")]
    subcommand = command[: command.index(options[0])] if options else command
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", *subcommand, "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(re.search(rf"(?<![\w-]){option}(?![\w-])", done.stdout) for option in options), done.stdout
