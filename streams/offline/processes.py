"""Audits the partitions of an offline replay in several processes.

Partition p belongs to process p % jobs. This process sends each of them the frames of its partitions, and puts the
answers back into the order of the frames. Sockets here never block: a process that waits to send its answer must not
wait for a parent that waits to send it more frames.
"""

from __future__ import annotations

import multiprocessing
import os
import selectors
import signal
import socket
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess

import msgspec

from streams.failures import Failure
from streams.offline.audit_process import Answer, audit_partitions
from streams.offline.partitions import Audited, Frames, Totals
from streams.settings.settings import Settings

POOL_BYTES = 8 << 20
"""A smaller file is audited in one process. 8 MiB of native JSON take 2.7 s in one process, 2.3 s in two, of which
each takes 0.4 s to start (measured, see docs/performance.md)."""

READ_BYTES = 1 << 18
JOIN_SECONDS = 5.0
"""A process that has closed its socket ends at once."""

_LENGTH = struct.Struct("<I")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Answer).decode


class ProcessEndedError(Failure):
    """A process of the audit was killed, or its machine failed."""


class PartitionError(Exception):
    """An unexpected exception in a process of the audit. Its note has the traceback."""


def cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def jobs_for(size_bytes: int, partitions: int, jobs: int | None) -> int:
    """Number of processes for a file: ``jobs`` or all cores, but one for a small file, at most one a partition.

    >>> jobs_for(1000, 8, None), jobs_for(1000, 8, 3), jobs_for(1 << 40, 2, 3)
    (1, 3, 2)
    """
    if jobs is None:
        jobs = 1 if size_bytes < POOL_BYTES else cores()
    return min(jobs, partitions)


@dataclass(slots=True, eq=False)
class _Step:
    """A step of ingest: the process of each frame, and the answers so far."""

    order: list[int]
    missing: int = 0
    answers: dict[int, Iterator[Audited]] = field(default_factory=dict)

    def in_order(self) -> Iterator[Audited]:
        return (next(self.answers[number]) for number in self.order)


class _Child:
    """A process, its partitions, and the bytes on their way to and from it."""

    def __init__(self, settings: Settings, number: int, jobs: int) -> None:
        self.number = number
        self.partitions = list(range(number, settings.partitions, jobs))
        self.socket, other = socket.socketpair()
        # Spawned, not forked: this process may have threads (a progress bar, numpy).
        self.process: SpawnProcess = multiprocessing.get_context("spawn").Process(
            target=audit_partitions, args=(settings, self.partitions, other), daemon=True
        )
        with other, _without_interrupt():
            self.process.start()
        self.socket.setblocking(False)
        self.steps: deque[_Step] = deque()
        """steps that it has not answered, the earliest first"""
        self.totals: list[Totals] | None = None
        self._outgoing: deque[memoryview] = deque()
        self._incoming = bytearray()

    def put(self, frames: Frames) -> None:
        """Send this when the process reads it."""
        message = _encode(frames)
        self._outgoing.append(memoryview(_LENGTH.pack(len(message)) + message))

    def events(self) -> int:
        """What to wait for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outgoing else 0)

    def write(self) -> None:
        """Write what the socket takes now."""
        try:
            while self._outgoing:
                sent = self.socket.send(self._outgoing[0])
                self._outgoing[0] = self._outgoing[0][sent:]
                if not self._outgoing[0]:
                    self._outgoing.popleft()
        except BlockingIOError:
            pass
        except OSError:  # it has ended; reading says why
            self._outgoing.clear()

    def read(self) -> None:
        """Read what there is now. Raises ProcessEndedError, PartitionError."""
        data = b""
        with suppress(ConnectionError):
            data = self.socket.recv(READ_BYTES)
        if not data:
            raise self._ended()
        self._incoming += data
        begin = 0
        while len(self._incoming) - begin >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._incoming, begin)
            end = begin + _LENGTH.size + size
            if len(self._incoming) < end:
                break
            self._take(_decode(bytes(self._incoming[begin + _LENGTH.size : end])))
            begin = end
        del self._incoming[:begin]

    def _take(self, answer: Answer) -> None:
        if answer.failure:
            where = f"partition {answer.partition}" if answer.partition >= 0 else self._names()
            if answer.expected:
                raise ProcessEndedError(f"{where} could not be audited: {answer.failure}; the outputs are incomplete")
            error = PartitionError(f"{where} could not be audited: {answer.failure}")
            error.add_note(answer.traceback)
            raise error
        if answer.totals is not None:
            self.totals = answer.totals
            return
        step = self.steps.popleft()
        step.answers[self.number] = iter(answer.audited)
        step.missing -= 1

    def _ended(self) -> ProcessEndedError:
        self.process.join(JOIN_SECONDS)
        code = self.process.exitcode
        if code is not None and code < 0:
            reason = f"was killed by {_signal(-code)}; if memory ran out, provide more or use a smaller --jobs"
        else:
            reason = f"ended with exit code {code}; standard error has its last message"
        return ProcessEndedError(f"the process that audits {self._names()} {reason}; the outputs are incomplete")

    def _names(self) -> str:
        if len(self.partitions) == 1:
            return f"partition {self.partitions[0]}"
        return f"partitions {', '.join(map(str, self.partitions[:-1]))} and {self.partitions[-1]}"

    def close(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.process.close()
        self.socket.close()


class Processes:
    """Audits in ``jobs`` processes, which start with the first step."""

    def __init__(self, settings: Settings, jobs: int) -> None:
        self._settings = settings
        self._jobs = jobs
        self._children: list[_Child] = []
        self._steps: deque[_Step] = deque()
        self._selector = selectors.DefaultSelector()

    def send(self, frames: Frames) -> None:
        """See Auditors. The caller bounds what waits here, by the number of open steps."""
        if not self._children:
            self._start()
        parts: list[Frames] = [[] for _ in self._children]
        step = _Step([partition % self._jobs for partition, _ in frames])
        for number, frame in zip(step.order, frames, strict=True):
            parts[number].append(frame)
        for child, part in zip(self._children, parts, strict=True):
            if part:
                child.put(part)
                child.steps.append(step)
                step.missing += 1
        self._steps.append(step)
        self._exchange(wait=False)

    def results(self, open_max: int) -> Iterator[Iterable[Audited]]:
        """See Auditors. Raises ProcessEndedError, PartitionError."""
        while True:
            while self._steps and not self._steps[0].missing:
                yield self._steps.popleft().in_order()
            if len(self._steps) <= open_max:
                return
            self._exchange(wait=True)

    def totals(self) -> list[Totals]:
        """See Auditors. Raises ProcessEndedError, PartitionError."""
        if not self._children:
            self._start()
        for child in self._children:
            child.put([])
        while any(child.totals is None for child in self._children):
            self._exchange(wait=True)
        found = {
            partition: totals
            for child in self._children
            for partition, totals in zip(child.partitions, child.totals or (), strict=True)
        }
        return [found[partition] for partition in range(self._settings.partitions)]

    def close(self) -> None:
        """See Auditors."""
        self._selector.close()
        for child in self._children:
            child.close()

    def _start(self) -> None:
        for number in range(self._jobs):
            child = _Child(self._settings, number, self._jobs)
            self._children.append(child)
            self._selector.register(child.socket, selectors.EVENT_READ, child)

    def _exchange(self, *, wait: bool) -> None:
        """Send and receive what is possible now, or at least something."""
        for child in self._children:
            if self._selector.get_key(child.socket).events != child.events():
                self._selector.modify(child.socket, child.events(), child)
        for key, events in self._selector.select(None if wait else 0):
            if events & selectors.EVENT_READ:
                key.data.read()
            if events & selectors.EVENT_WRITE:
                key.data.write()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


@contextmanager
def _without_interrupt() -> Iterator[None]:
    """Block SIGINT, also in processes that start here: Ctrl-C interrupts this process, which ends the others."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # multiprocessing starts it with the first process, and unblocks SIGINT after it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
