"""docker-compose.yml, and a service of it as a process on this machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.testbed.workers import clean_environment
from tests.deploy.conftest import ROOT
from tests.deploy.small_yaml import read

COMPOSE: dict[str, Any] = read(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
IMAGE_ENVIRONMENT = dict(re.findall(r"\b(TRUECOUNT_\w+)=(\S+)", DOCKERFILE))
"""Settings that the image sets."""

KAFKA = "kafka:19092"


def instruction(name: str) -> list[str]:
    """The last exec-form instruction of that name in the Dockerfile."""
    words: list[str] = json.loads(re.findall(rf"^{name} (\[.*\])$", DOCKERFILE, re.MULTILINE)[-1])
    return words


def mounts(service: dict[str, Any], folder: Path) -> dict[str, Path]:
    """path in the container → path here. Files of the project are copied, and volumes are made, below ``folder``."""
    found = {}
    for mount in service.get("volumes", []):
        source, _, rest = mount.partition(":")
        target = rest.partition(":")[0] or source
        here = folder / target.strip("/")
        if source.startswith("."):
            here.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, here)
        else:
            here.mkdir(parents=True)
        found[target] = here
    return found


def translated(words: list[str], paths: dict[str, Path]) -> list[str]:
    """The words with paths of this machine."""
    for there, here in paths.items():
        words = [re.sub(rf"(^|=){re.escape(there)}(?=/|$)", rf"\g<1>{here}", word) for word in words]
    return words


def start(command: list[str], log: Path, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a process whose output goes to a file."""
    with log.open("wb") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)


def truecount(name: str, folder: Path, **variables: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment of one of our services, as in its container; ``variables`` replace some of them."""
    service = OURS[name]
    paths = mounts(service, folder)
    state = IMAGE_ENVIRONMENT["TRUECOUNT_STATE__DIRECTORY"]
    environment = {**IMAGE_ENVIRONMENT, **service["environment"], "TRUECOUNT_STATE__DIRECTORY": str(folder / state[1:])}
    assert instruction("ENTRYPOINT") == ["truecount"]
    command = [sys.executable, "-m", "streams.cli", *translated(service["command"], paths)]
    return command, {**clean_environment(), "PYTHONPATH": str(ROOT), **environment, **variables}
