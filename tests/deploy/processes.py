"""Waits for a process that a test has started: until an address answers, or the process ends."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from typing import Any

PATIENCE_SECONDS = 60.0


def wait_until_ready(url: str, process: subprocess.Popen[Any], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether the address answered with 200 before the process ended or the time was over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # loopback
                return True
        except OSError:
            time.sleep(0.1)
    return False
