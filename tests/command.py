"""The command line in this process: what a command prints and how it ends, without the second that a process takes.

``bench.testbed.workers.run_cli`` runs the same command as a process of its own. Use it where the process matters:
beside a broker, under signals, or for what is imported.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from bench.testbed.workers import clean_environment
from streams.cli import main


def truecount(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``truecount`` with these arguments to its end, through its entry point."""
    output, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    code = 0
    with pytest.MonkeyPatch.context() as patch:
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


def written(stream: io.TextIOWrapper) -> str:
    """What a stream was given."""
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()
