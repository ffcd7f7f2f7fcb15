"""`truecount broker` never leaves its broker behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.testbed.brokers import free_port
from bench.testbed.workers import CLI
from streams.kafka.embedded import GUARD_SCRIPT, EmbeddedBroker

WAIT_SECONDS = 20.0


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie, which nobody has waited for yet, does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def children(pid: int) -> list[int]:
    """The processes below one, at any depth."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    below: dict[int, list[int]] = {}
    for line in listing.splitlines():
        child, parent = map(int, line.split())
        below.setdefault(parent, []).append(child)
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for child in below.get(waiting.pop(), []):
            found.append(child)
            waiting.append(child)
    return found


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
        return True
    return False


def until(said: str, is_true: object, /) -> None:
    """Wait until a condition is true; fails with what was waited for."""
    assert callable(is_true)
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


@pytest.fixture
def command() -> Iterator[tuple[subprocess.Popen[bytes], int, list[int]]]:
    """A running `truecount broker`, its port and the processes below it."""
    port = free_port()
    process = subprocess.Popen([*CLI, "broker", "--port", str(port)], stdout=subprocess.DEVNULL)
    below: list[int] = []
    try:
        until("the broker listens", lambda: listens(port))
        below = children(process.pid)
        assert below
        yield process, port, below
    finally:
        for pid in [process.pid, *below]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 0), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_no_process_stays_however_the_command_is_ended(
    command: tuple[subprocess.Popen[bytes], int, list[int]], number: signal.Signals, code: int
) -> None:
    process, port, below = command
    process.send_signal(number)
    assert process.wait(WAIT_SECONDS) == code
    until(f"{below} are gone", lambda: not any(map(is_alive, below)))
    assert not listens(port)


@pytest.mark.integration
def test_a_broker_that_dies_ends_the_command(command: tuple[subprocess.Popen[bytes], int, list[int]]) -> None:
    process, _, below = command
    for pid in below:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
    assert process.wait(WAIT_SECONDS) != 0


@pytest.mark.integration
def test_a_broker_that_is_stopped_leaves_no_process_and_may_be_started_again() -> None:
    before = children(os.getpid())
    for _ in range(2):
        with EmbeddedBroker() as broker:
            below = [pid for pid in children(os.getpid()) if pid not in before]
            assert listens(broker.port)
        until(f"{below} are gone", lambda below=below: not any(map(is_alive, below)))


def test_what_was_released_is_not_killed_when_the_pipe_ends(tmp_path: Path) -> None:
    done = tmp_path / "done"
    program = f"import time; time.sleep(1); open({str(done)!r}, 'w')"
    process = subprocess.Popen(
        ["/bin/sh", "-c", GUARD_SCRIPT, "sh", sys.executable, "-c", program], stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.close()
    assert process.wait(WAIT_SECONDS) == 0
    assert done.exists()


def test_what_was_not_released_is_killed_when_the_pipe_ends() -> None:
    process = subprocess.Popen(["/bin/sh", "-c", GUARD_SCRIPT, "sh", "sleep", "100"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(WAIT_SECONDS) == -signal.SIGKILL
