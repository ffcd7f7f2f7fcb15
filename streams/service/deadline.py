"""The deadline of a stop: the process ends then, whatever still waits for a broker."""

from __future__ import annotations

import os
import sys
import threading

import structlog

log = structlog.get_logger()


def start_deadline(seconds: float) -> threading.Timer:
    """End the process after so many seconds, unless it has ended before."""
    timer = threading.Timer(seconds, _leave)
    timer.daemon = True
    timer.start()
    return timer


def _leave() -> None:
    """Threads of clients that wait for a broker would keep the process. What is not committed is done again."""
    log.warning("the stop took too long; leaving as it is")
    sys.stdout.flush()
    os._exit(0)
