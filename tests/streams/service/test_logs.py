"""Each line that a process logs is one JSON document: its own, and those of libraries."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench.testbed.workers import ROOT, clean_environment

NOISE = {
    "truecount": "structlog.get_logger().warning('one\\ntwo', tp='x', at=object())",
    "a traceback": "\ntry:\n 1 / 0\nexcept ZeroDivisionError:\n structlog.get_logger().exception('failed')",
    "a library": "logging.getLogger('other.library').error('a line\\nand another %s', 'x')",
    "a library's critical error": "logging.getLogger('aiokafka.consumer').critical('lost')",
    "a library with arguments that do not fit": "logging.getLogger('other').error('%d', 'x')",
    "Faust's consumer": "logging.getLogger('streams.kafka.transport').error('Has not committed\\n\\n(report as bug)')",
    "a warning": "warnings.warn('old', DeprecationWarning)",
    "a thread": "t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
    "a finalizer": "type('T', (), {'__del__': lambda self: 1 / 0})()",
    "a task whose exception nobody reads": "\nasync def f(): raise OSError('gone')\n"
    "async def m():\n asyncio.create_task(f())\n await asyncio.sleep(0)\n await asyncio.sleep(0)\n"
    "asyncio.run(m())\nimport gc; gc.collect()",
    "a coroutine that nobody awaits": "\nasync def f(): pass\nf()\nimport gc; gc.collect()",
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_every_line_is_json(noise: str) -> None:
    code = (
        "import asyncio, logging, threading, warnings, structlog\n"
        f"from streams.service.logs import configure\nconfigure()\nwarnings.simplefilter('always')\n{noise}\n"
        "structlog.get_logger().info('the end')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**clean_environment(), "PYTHONPATH": str(ROOT)},
    )
    lines = [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]
    assert lines[-1]["event"] == "the end"
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    assert done.returncode == 0
    expected = 1 if noise == NOISE["a library with arguments that do not fit"] else 2
    assert len(lines) == expected


def test_libraries_are_silent_about_what_truecount_logs_itself() -> None:
    code = (
        "import logging\nfrom streams.service.logs import configure\nconfigure({level!r})\n"
        "for name in ('aiokafka', 'kafka.client', 'faust', 'mode.services'):\n"
        " logging.getLogger(name).error('no broker')"
    )
    written = []
    for level in ("INFO", "DEBUG"):
        done = subprocess.run(
            [sys.executable, "-c", code.format(level=level)],
            capture_output=True,
            text=True,
            check=True,
            env={**clean_environment(), "PYTHONPATH": str(ROOT)},
        )
        written.append(len(done.stderr.splitlines()))
    assert written == [0, 4]
