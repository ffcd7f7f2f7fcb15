"""The deadline of a stop: it ends the process, even if something still waits for a broker."""

from __future__ import annotations

import os
import sys
import threading

import structlog

log = structlog.get_logger()


def start_deadline(seconds: float) -> threading.Timer:
    """End the process after this many seconds, unless it has ended before."""
    timer = threading.Timer(seconds, _leave)
    timer.daemon = True
    timer.start()
    return timer


def _leave() -> None:
    """End the process, even if client threads wait for a broker. Uncommitted work is repeated by the next owner."""
    log.warning("the stop took too long; the process ends now")
    sys.stdout.flush()
    os._exit(0)
