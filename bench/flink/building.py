"""Builds the Flink job with Maven, once, into the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.measured import PartError

HERE = Path(__file__).parent
FLINK_VERSION = "2.2.1"
"""As in pom.xml."""
JDK_MINIMUM = 17
BUILD_SECONDS = 600
"""130 MB of jars took 20 s; a slow mirror must not fail the run."""
OUTPUT_LINES = 40


def flink_is_missing() -> str | None:
    """What this machine lacks to build and run the Flink job, None if it lacks nothing."""
    compiler = _compiler_version()
    if compiler is None:
        return f"the Flink job needs a JDK {JDK_MINIMUM}+, but there is no javac (a JRE has none)"
    if compiler < JDK_MINIMUM:
        return f"the Flink job needs a JDK {JDK_MINIMUM}+, but javac is of version {compiler}"
    if shutil.which("java") is None:
        return "the Flink job needs a JDK, but java is not on the PATH"
    if not _built(_cache()) and shutil.which("mvn") is None:
        return "the Flink job needs Maven (mvn) to be built"
    return None


def _compiler_version() -> int | None:
    if shutil.which("javac") is None:
        return None
    answer = subprocess.run(["javac", "-version"], capture_output=True, text=True, check=False)
    found = re.search(r"javac (\d+)", answer.stdout + answer.stderr)
    return int(found[1]) if found else None


def flink_classpath() -> str:
    """The classpath of the built job. Raises PartError if it cannot be built."""
    missing = flink_is_missing()
    if missing is not None:
        raise PartError(missing)
    cache = _cache()
    if not _built(cache):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with (cache.parent / "building.lock").open("w") as lock:  # of several processes, one builds
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _built(cache):
                _build(cache)
    return f"{cache}/flink-peer.jar:{cache}/jars/*"


def _build(cache: Path) -> None:
    # In a temporary directory that is then renamed: an interrupted build never looks complete.
    with tempfile.TemporaryDirectory(dir=cache.parent, prefix="building-") as scratch:
        project = Path(scratch) / "project"
        for source in _sources():
            copy = project / source.relative_to(HERE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
        try:
            done = subprocess.run(
                ["mvn", "-B", "-q", "-f", str(project / "pom.xml"), "package"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=BUILD_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PartError(f"Maven could not build the Flink job: {error}") from None
        if done.returncode != 0:
            output = "\n".join(done.stdout.splitlines()[-OUTPUT_LINES:])
            raise PartError(f"Maven could not build the Flink job:\n{output}")
        shutil.rmtree(cache, ignore_errors=True)
        (project / "target").rename(cache)


def _sources() -> list[Path]:
    return [HERE / "pom.xml", *sorted((HERE / "src").rglob("*.java"))]


def _cache() -> Path:
    # By content: a changed job is built anew, and two checkouts do not replace each other's.
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    content = hashlib.sha256(b"\0".join(source.read_bytes() for source in _sources())).hexdigest()[:12]
    return Path(root) / "truecount" / f"flink-{FLINK_VERSION}-{content}"


def _built(cache: Path) -> bool:
    return (cache / "flink-peer.jar").exists()
