"""The space of a disk and the memory that a worker may use."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

from streams.service import machine


def test_the_space_is_that_of_the_disk_of_a_directory_that_need_not_exist(tmp_path: Path) -> None:
    free, size = machine.disk_bytes(tmp_path / "not" / "there")
    assert size == shutil.disk_usage(tmp_path).total
    assert 0 < free < size


def test_memory_has_a_limit_that_the_machine_gives() -> None:
    assert 0 < machine.memory_limit_bytes() < 1 << 50


def test_a_resident_limit_below_it_is_the_limit() -> None:
    code = "from streams.service.machine import memory_limit_bytes; print(memory_limit_bytes())"
    limit = 300 << 20

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_RSS, (limit, limit))

    done = subprocess.run([sys.executable, "-c", code], preexec_fn=lower, capture_output=True, text=True, check=True)
    assert int(done.stdout) == limit
