"""The command line in this process: what a command prints and how it ends, without the second that a process takes.

``bench.testbed.workers.run_cli`` runs the same command as a process of its own. Use it where the process matters:
beside a broker, under signals, or for what is imported.
"""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from bench.testbed.workers import clean_environment
from streams.cli import main
from streams.service.logs import LIBRARIES


def truecount(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``truecount`` with these arguments to its end, through its entry point."""
    output, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    code = 0
    with pytest.MonkeyPatch.context() as patch, _logging_restored():
        for name in os.environ.keys() - clean_environment().keys():
            patch.delenv(name)
        patch.setattr(sys, "argv", ["truecount", *arguments])
        patch.setattr(sys, "stdin", io.StringIO())
        patch.setattr(sys, "stdout", output)
        patch.setattr(sys, "stderr", errors)
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess(["truecount", *arguments], code, written(output), written(errors))


@contextmanager
def _logging_restored() -> Iterator[None]:
    """Undo afterwards what a command configures: other tests of this process look at what is logged."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    hooks = threading.excepthook, sys.unraisablehook
    try:
        yield
    finally:
        structlog.reset_defaults()
        logging.captureWarnings(False)
        root.handlers[:], root.level = before
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        threading.excepthook, sys.unraisablehook = hooks


def written(stream: io.TextIOWrapper) -> str:
    """What a stream was given."""
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()
