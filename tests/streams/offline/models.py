"""Models of an operator that fail in the processes of a replay, and do nothing in the process that reads the file."""

from __future__ import annotations

import multiprocessing
import os
import signal

from detectors.features.names import Features
from streams.offline import partitions


class Model:
    """Learns nothing. ``act`` runs when a window is learned in another process than that of the command."""

    def learn_one(self, x: Features) -> None:
        if multiprocessing.parent_process() is not None:
            self.act()

    def score_one(self, x: Features) -> float:
        return 0.5

    def act(self) -> None:
        raise NotImplementedError


class Killed(Model):
    """As if memory ran out."""

    def act(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Exits(Model):
    """A library that ends the process."""

    def act(self) -> None:
        os._exit(7)


class DiskFull(Model):
    """From now on the log of a partition cannot be written."""

    def act(self) -> None:
        partitions.LogSoFar.append = _no_space  # type: ignore[method-assign, assignment]  # only in this process


def _no_space(_: partitions.LogSoFar, frame: bytes) -> None:
    raise OSError(28, f"No space left on device for {len(frame)} bytes")


class Waits(Model):
    """Says that it waits, and goes on when the command has ended."""

    def act(self) -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        if parent.is_alive():
            os.write(1, b"waiting\n")
            parent.join()
