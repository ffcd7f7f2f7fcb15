"""Limits of the machine that a worker runs on: the space of its disk, and the memory that it may use."""

from __future__ import annotations

import math
import os
import resource
from pathlib import Path

CONTROL_GROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""The limit of the container's control group: version 2, version 1."""


def disk_bytes(directory: Path) -> tuple[int, int]:
    """Free bytes and size of the disk of a directory, or of the first of its parents that exists.

    Free is what a process without special rights can use. Raises OSError.
    """
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def disk_free_bytes(directory: Path) -> float:
    """Free bytes of a directory's disk; NaN if it cannot be read."""
    try:
        return disk_bytes(directory)[0]
    except OSError:
        return math.nan


def disk_size_bytes(directory: Path) -> float:
    """Size of a directory's disk; NaN if it cannot be read."""
    try:
        return disk_bytes(directory)[1]
    except OSError:
        return math.nan


def memory_limit_bytes() -> int:
    """The least of the control group's limit, the resident limit (ulimit -m) and the machine's memory.

    Linux does not enforce the resident limit: it is for an operator who knows a limit that cannot be seen from inside.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    resident, _ = resource.getrlimit(resource.RLIMIT_RSS)
    if resident != resource.RLIM_INFINITY:
        limits.append(resident)
    for path in CONTROL_GROUP_LIMITS:
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):  # not Linux, another version of control groups, or "max"
            continue
    return min(limits)
