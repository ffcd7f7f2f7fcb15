"""Memory settings of the process: Python's garbage collector, and malloc of the C library."""

from __future__ import annotations

import ctypes
import gc

GC_THRESHOLDS = (100_000, 50, 100)
"""State is millions of small objects without cycles. With Python's default (700), it would be searched all the time."""

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""Options of glibc, from its malloc.h."""
ARENAS = 2
MMAP_BYTES = 1024 * 1024
"""Larger pieces are returned when they are freed. The arrays and messages of a batch are smaller, and used again: with
256 KB, each was new memory that the system had to clear, twice as many page faults in all, and 5 % more CPU time."""
RETURN_SECONDS = 30.0
"""How often free pages are returned. Each time takes 20 to 100 ms of a thread, in which others wait for memory."""


def freeze_heap() -> None:
    """Exclude all objects from collection. Called before the process ends: Python would search all of the state."""
    gc.freeze()


def collect_rarely() -> None:
    """Collect cycles rarely. Objects in no cycle are still freed at once."""
    gc.set_threshold(*GC_THRESHOLDS)


def return_freed() -> None:
    """Make glibc return freed memory to the system. Call it before threads start; other C libraries are unchanged.

    By default glibc reserves 64 MB for each of several threads (of Kafka and RocksDB), and does not return the memory
    of fetched data of a megabyte each: about 200 MB in a busy worker.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_M_ARENA_MAX, ARENAS)
    mallopt(_M_MMAP_THRESHOLD, MMAP_BYTES)


def return_free_pages() -> None:
    """Return the free pages within glibc's heap to the system. Other C libraries are unchanged.

    glibc itself returns only the end of the heap. States and messages of many sizes leave free pages everywhere else:
    a tenth of the memory of a busy worker (measured).
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return
    trim(0)
