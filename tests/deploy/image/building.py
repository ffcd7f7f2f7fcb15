"""Builds the image of this tree with buildah, without an engine, and runs commands from it as it is configured.

The bases come from a registry of images if one can be reached, and otherwise from ``make_base.sh``. Layers are kept, so
that a tree that did not change is built in seconds. A command runs in the mounted image: as the image's user, with its
variables, and with a root file system that is mounted read-only but for ``/tmp`` and the state.

``python -m tests.deploy.image.building`` only builds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
MAKE_BASE = Path(__file__).with_name("make_base.sh")
TAG = "localhost/truecount:test"
BUILD = ["buildah", "bud", "--isolation", "chroot", "--network", "host", "--pull-never", "--layers"]
PULL_SECONDS = 120

LIMITS = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
"""buildah's own limits are above those that some machines allow."""

READ_ONLY_ROOT = """\
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mount --bind "$2" "$1/var/lib/truecount"
mount --rbind /dev "$1/dev" && mount --rbind /proc "$1/proc"
mount --bind /etc/hosts "$1/etc/hosts"
root=$1 user=$3
shift 3
cd /
exec chroot --userspec="$user" "$root" /usr/bin/env -i -C /var/lib/truecount "$@"
"""
"""A shell script in a mount namespace of its own. It becomes the command, so a signal to it reaches the command."""


class BuildError(Exception):
    """The image cannot be built. The message has the end of buildah's output."""


def as_root() -> list[str] | None:
    """What makes a command root's: nothing, or sudo without a password; None if neither is possible."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n", "--preserve-env=CONTAINERS_CONF"]
    return None


def missing() -> str | None:
    """What this machine lacks for the image, None if nothing."""
    if as_root() is None:
        return "building the image needs root"
    lacking = [tool for tool in ("buildah", "mmdebstrap", "unshare") if shutil.which(tool) is None]
    return f"{', '.join(lacking)} is missing (on Debian: apt-get install)" if lacking else None


def bases() -> list[str]:
    """The images that the Dockerfile begins with."""
    return sorted(set(re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)))


@dataclass(frozen=True)
class Image:
    """The built image, mounted."""

    root: Path
    config: dict[str, Any]
    """its configuration, in the form of Docker: Entrypoint, Cmd, Env, User, Healthcheck …"""
    megabytes: float
    """what it has above its base"""

    def command(self, state: Path, *words: str, **variables: str) -> list[str]:
        """A command of this machine that runs words in the image. ``state`` is mounted as its state directory."""
        environment = dict(each.split("=", 1) for each in self.config["Env"]) | variables
        given = [f"{name}={value}" for name, value in environment.items()]
        script = ["unshare", "--mount", "sh", "-ec", READ_ONLY_ROOT, "sh"]
        return [*(as_root() or []), *script, str(self.root), str(state), self.config["User"], *given, *words]

    def run(self, state: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run words in the image to their end."""
        command = self.command(state, *words, **variables)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    def truecount(self, state: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run its entry point with these arguments."""
        return self.run(state, *self.config["Entrypoint"], *arguments, **variables)

    def state(self, folder: Path) -> Path:
        """A new state directory that belongs to its user, as a volume would."""
        made = folder / "state"
        made.mkdir()
        subprocess.run([*(as_root() or []), "chown", self.config["User"], str(made)], check=True)
        return made


class Builder:
    """Builds the image, and mounts it until ``close``."""

    def __init__(self, folder: Path) -> None:
        self._conf = folder / "containers.conf"
        self._conf.write_text(LIMITS)
        self._container = ""

    def build(self) -> str:
        """Build the image and return buildah's output. Raises BuildError."""
        for base in bases():
            if not self._ok("buildah", "inspect", "--type", "image", base) and not self._ok(
                "buildah", "pull", "--quiet", f"docker.io/library/{base}", seconds=PULL_SECONDS
            ):
                found = re.fullmatch(r"python:([\d.]+)-(?:slim-)?(\w+)", base)
                assert found, base
                self._run(str(MAKE_BASE), *found.groups())
        return self._run(*BUILD, "--format", "docker", "--tag", TAG, "--file", str(DOCKERFILE), str(ROOT))

    def mount(self) -> Image:
        """Mount what was built."""
        config = json.loads(self._run("buildah", "inspect", "--type", "image", TAG))["Docker"]["config"]
        self._container = self._run("buildah", "from", "--pull-never", TAG).strip()
        root = Path(self._run("buildah", "mount", self._container).strip())
        kilobytes = self._run("du", "-sk", "--apparent-size", f"{root}/opt/truecount").split()[0]
        return Image(root, config, int(kilobytes) * 1024 / 1e6)

    def close(self) -> None:
        """Unmount it. The image and its layers stay."""
        if self._container:
            self._run("buildah", "rm", self._container)

    def _ok(self, *command: str, seconds: int = 60) -> bool:
        try:
            self._run(*command, seconds=seconds)
        except BuildError:
            return False
        return True

    def _run(self, *command: str, seconds: int = 1800) -> str:
        try:
            done = subprocess.run(
                [*(as_root() or []), *command],
                env={**os.environ, "CONTAINERS_CONF": str(self._conf)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            raise BuildError(f"{' '.join(command)} took more than {seconds} s") from None
        if done.returncode != 0:
            raise BuildError(f"{' '.join(command)}: code {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout


if __name__ == "__main__":
    import tempfile

    lacking = missing()
    if lacking:
        sys.exit(f"the image cannot be built: {lacking}")
    with tempfile.TemporaryDirectory() as directory:
        try:
            sys.stdout.write(Builder(Path(directory)).build())
        except BuildError as error:
            sys.exit(str(error))
