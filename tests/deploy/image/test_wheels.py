"""For aarch64 Linux, as for x86-64: each locked package has a wheel, or the image's build stage compiles it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.image.building import DOCKERFILE, ROOT

LOCK = ROOT / "requirements.lock"
TAGS = ("manylinux_2_17", "manylinux2014", "manylinux_2_28", "manylinux_2_34", "manylinux_2_36")
"""Up to the C library of the base, Debian 12's 2.36."""


def compiled() -> set[str]:
    """The packages that the build stage compiles on every platform."""
    return set(re.findall(r"--no-binary=([\w-]+)", DOCKERFILE.read_text()))


def locked(python: str, machine: str) -> dict[str, tuple[str, set[str]]]:
    """name → version and SHA-256 of each file, of the packages that the lock has for a Python on a machine."""
    environment = {
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    found = {}
    for line in re.findall(r"^[a-z0-9].*?(?=^\S|\Z)", LOCK.read_text(), re.MULTILINE | re.DOTALL):
        requirement = Requirement(line.partition(" \\")[0])
        if requirement.marker is None or requirement.marker.evaluate(environment):
            version = str(requirement.specifier).removeprefix("==")
            found[requirement.name] = version, set(re.findall(r"--hash=sha256:(\w+)", line))
    return found


def image_python() -> str:
    """The version of Python of the image."""
    (version,) = set(re.findall(r"^FROM python:([\d.]+)-", DOCKERFILE.read_text(), re.MULTILINE))
    return str(version)


def test_what_is_compiled_is_locked() -> None:
    assert compiled()
    assert compiled() <= locked(image_python(), "aarch64").keys()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_every_other_package_has_a_wheel_with_a_locked_hash(machine: str, tmp_path: Path) -> None:
    python = image_python()
    packages = locked(python, machine)
    wanted = {name: version for name, (version, _) in packages.items() if name not in compiled()}
    assert len(wanted) > 40
    listed = tmp_path / "requirements.txt"
    listed.write_text("\n".join(f"{name}=={version}" for name, version in wanted.items()))
    report = tmp_path / "report.json"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
    pip += ["--only-binary=:all:", "--report", str(report), "--target", str(tmp_path / "none"), "-r", str(listed)]
    # The Python of this test may be another than the image's.
    pip += [
        "--ignore-requires-python",
        "--implementation",
        "cp",
        "--python-version",
        python,
        *(f"--platform={tag}_{machine}" for tag in TAGS),
    ]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for each in json.loads(report.read_text())["install"]:
        name, archive = canonicalize_name(each["metadata"]["name"]), each["download_info"]["archive_info"]
        wanted.pop(name)
        assert archive["hashes"]["sha256"] in packages[name][1], (
            f"the lock has no hash of the wheel of {name} for {machine}"
        )
    assert wanted == {}
