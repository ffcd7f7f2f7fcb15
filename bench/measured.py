"""What one part of the bench measured, and how a part that runs as a process of its own hands it over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).parent.parent


class PartError(Exception):
    """A part that gave no figure; the message says why."""


class Measured(msgspec.Struct):
    """``events`` in ``seconds`` of wall time, for which the process used ``cpu_seconds``."""

    events: int
    seconds: float
    cpu_seconds: float

    @property
    def events_s(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU time of an event in µs: steadier than events per second where others use the machine too."""
        return self.cpu_seconds / self.events * 1e6


def tell(measured: Measured) -> None:
    """Say the result to the process that called ``run``."""
    print(msgspec.json.encode(measured).decode(), flush=True)


def run(module: str, *arguments: str, deadline_seconds: float, python: str = sys.executable) -> Measured:
    """Run a module of this package as a process and take its result. Raises PartError."""
    said = last_line_of(module, *arguments, deadline_seconds=deadline_seconds, python=python)
    return msgspec.json.decode(said, type=Measured)


def last_line_of(module: str, *arguments: str, deadline_seconds: float, python: str = sys.executable) -> bytes:
    """The last line that a module of this package prints when run as a process. Raises PartError."""
    command = [python, "-m", f"bench.{module}", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
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
