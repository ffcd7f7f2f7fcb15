"""What Helm renders of the chart, and a rendered pod as a process on this machine."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import ROOT

CHART = ROOT / "deploy" / "helm" / "truecount"
VALUES = Path(__file__).parent / "values"
OLDEST_KUBERNETES = "1.27"
NEWEST_KUBERNETES = "1.37"
POD_NAME = "release-truecount-0"

Object = dict[str, Any]


class RefusedError(Exception):
    """Helm refuses the values. The message is Helm's."""


def helm(*arguments: str) -> str:
    """The output of Helm. Skips in plain sight if it is missing; raises RefusedError if it fails."""
    found = shutil.which("helm") or shutil.which("helm", path=Path.home() / "go" / "bin")
    if found is None:
        pytest.skip("helm is missing (.ci/run installs it)")
    done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise RefusedError(done.stderr)
    return done.stdout


def render(values: Path, *options: str, kubernetes: str = NEWEST_KUBERNETES) -> list[Object]:
    """Every object of a release with these values."""
    template = ["template", "release", str(CHART), "--namespace", "audit", "--kube-version", f"{kubernetes}.0"]
    text = helm(*template, "--values", str(values), *options)
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    """The objects of a kind."""
    return [each for each in objects if each["kind"] == kind]


def templates(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """The pod templates: of the workers and of the job."""
    for each in objects:
        if each["kind"] in {"StatefulSet", "Job"}:
            yield each["kind"], each["spec"]["template"]


def worker(objects: list[Object]) -> Object:
    """The pod template of the workers."""
    template: Object = dict(templates(objects))["StatefulSet"]
    return template


@dataclass(frozen=True)
class Pod:
    """A rendered pod as a process on this machine: mounts are folders below ``folder``."""

    template: Object
    objects: list[Object]
    folder: Path
    others: dict[str, dict[str, str]]
    """contents of secrets that the chart does not make: name → key → text"""

    @property
    def container(self) -> Object:
        """Its only container."""
        (container,) = self.template["spec"]["containers"]
        found: Object = container
        return found

    def command(self) -> list[str]:
        """The arguments of truecount, with paths of this machine."""
        return [self.here(word) for word in self.container["args"]]

    def environment(self) -> dict[str, str]:
        """The variables that the pod adds to those of the image, with paths of this machine."""
        found = {}
        for variable in self.container["env"]:
            if "valueFrom" in variable:
                assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
                found[variable["name"]] = POD_NAME
            else:
                found[variable["name"]] = self.here(variable["value"])
        return found

    def here(self, text: str) -> str:
        """A text in which a path of the container is this machine's."""
        for mount in self.container["volumeMounts"]:
            if text.startswith(mount["mountPath"] + "/"):
                return f"{self.folder}{text}"
        return text

    def write_files(self) -> None:
        """Make the folders of all mounts, with the contents of config maps and secrets."""
        volumes = {volume["name"]: volume for volume in self.template["spec"]["volumes"]}
        for mount in self.container["volumeMounts"]:
            folder = Path(f"{self.folder}{mount['mountPath']}")
            folder.mkdir(parents=True, exist_ok=True)
            volume = volumes.get(mount["name"], {})
            for name, text in self._contents(volume).items():
                (folder / name).write_text(text)

    def _contents(self, volume: Object) -> dict[str, str]:
        if "configMap" in volume:
            (found,) = [
                each for each in of_kind(self.objects, "ConfigMap") if _name(each) == volume["configMap"]["name"]
            ]
            data: dict[str, str] = found["data"]
            return data
        if "secret" in volume:
            secret = volume["secret"]
            data = self._secret(secret["secretName"])
            return {item["path"]: data[item["key"]] for item in secret["items"]}
        return {}

    def _secret(self, name: str) -> dict[str, str]:
        for each in of_kind(self.objects, "Secret"):
            if _name(each) == name:
                return {key: base64.b64decode(text).decode() for key, text in each["data"].items()}
        return self.others[name]


def _name(each: Object) -> str:
    name: str = each["metadata"]["name"]
    return name
