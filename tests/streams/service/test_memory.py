"""Memory of the C library: what is free is returned, and another library than glibc is left alone."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from streams.service import memory

FREED = """
import ctypes
from streams.service import memory

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) >> 10

memory.return_freed()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
pieces = [libc.malloc(16_384) for _ in range(8_000)]
for piece in pieces:
    ctypes.memset(piece, 1, 16_384)
for number, piece in enumerate(pieces):
    if number % 100:
        libc.free(piece)
before = resident()
memory.return_free_pages()
print(before - resident())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library of this machine is not glibc")
def test_pages_that_are_free_within_the_heap_are_returned() -> None:
    done = subprocess.run([sys.executable, "-c", FREED], check=True, capture_output=True, text=True)
    assert int(done.stdout) > 80, "of 125 MiB, 99 in 100 pieces are free"


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    memory.return_freed()
    memory.return_free_pages()
