"""How Python and the C library keep memory, told what a stream processor is like."""

from __future__ import annotations

import ctypes
import gc

GC_THRESHOLDS = (100_000, 50, 100)
"""State is millions of small objects without cycles: Python's default (700) would walk them all the time."""

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""glibc's, from its malloc.h."""
ARENAS = 2
MMAP_BYTES = 256 * 1024


def rest() -> None:
    """For a process that ends: nothing that is left needs to be looked through. Python would, with all of the state."""
    gc.freeze()


def relax() -> None:
    """For the process: look for cycles rarely. What is in no cycle is freed at once all the same."""
    gc.set_threshold(*GC_THRESHOLDS)


def give_back() -> None:
    """For the process, before it has threads: what is freed goes back to the system, where the C library is glibc.

    By itself glibc keeps 64 MB for each of several threads (Kafka's, RocksDB's), and keeps what was once fetched in
    pieces of a megabyte: some 200 MB of a worker that is busy.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_M_ARENA_MAX, ARENAS)
    mallopt(_M_MMAP_THRESHOLD, MMAP_BYTES)
