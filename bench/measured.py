"""The result of one part of the benchmark, and running a part as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).parent.parent


class PartError(Exception):
    """Raised if a part has no result; the message has the reason."""


class Measured(msgspec.Struct):
    """Result of a part: events, wall time and CPU time of the process."""

    events: int
    seconds: float
    cpu_seconds: float

    @property
    def events_s(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU time per event in µs. It varies less than events per second on a shared machine."""
        return self.cpu_seconds / self.events * 1e6


def print_result(measured: Measured) -> None:
    """Print the result as JSON for the process that called ``run``."""
    print(msgspec.json.encode(measured).decode(), flush=True)


def run(
    module: str, *arguments: str, deadline_seconds: float, python: str = sys.executable, root: Path = ROOT
) -> Measured:
    """Run a module of this package as a process and return its result. Raises PartError.

    ``root`` has the packages that the process imports: this tree, or that of an earlier commit.
    """
    line = last_line_of(module, *arguments, deadline_seconds=deadline_seconds, python=python, root=root)
    return msgspec.json.decode(line, type=Measured)


def last_line_of(
    module: str, *arguments: str, deadline_seconds: float, python: str = sys.executable, root: Path = ROOT
) -> bytes:
    """Run a module of this package as a process and return the last line that it prints. Raises PartError."""
    command = [python, "-m", f"bench.{module}", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=root,
            # Before an installed truecount, which would have this tree's packages.
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            timeout=deadline_seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise PartError(f"{module} was not done within {deadline_seconds:.0f} s") from None
    if done.returncode != 0:
        raise PartError(f"{module} ended with code {done.returncode}\n{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout.splitlines()[-1]
