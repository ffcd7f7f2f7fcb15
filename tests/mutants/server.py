"""Runs tests on changes of one copy of the tree, a fork for each, so that libraries are imported once.

Reads jobs from standard input and answers on standard output, a line of JSON each. The working directory is the copy.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.measuring import same_examples

MEMORY_BYTES = 4 << 30
"""Address space of a run: a change may ask for memory without end."""

KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"


class Selected:
    """Leaves of what was collected the chosen tests, in the order that they were chosen in."""

    def __init__(self, tests: list[str]) -> None:
        self._order = {test: place for place, test in enumerate(tests)}
        self.failed: list[str] = []
        self.ran = 0

    def pytest_sessionstart(self) -> None:
        same_examples()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self._order), key=lambda item: self._order[item.nodeid])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran += report.when == "call"
        if report.failed:
            self.failed.append(report.nodeid)


def preload() -> None:
    """Import what the tree imports of others."""
    names: set[str] = set()
    for path in (path for folder in ("detectors", "streams", "tests") for path in Path(folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    for name in sorted(names):
        if name.split(".")[0] not in {"detectors", "streams", "tests", "bench", "quixstreams", "__future__"}:
            with contextlib.suppress(ImportError), warnings.catch_warnings(action="ignore"):
                importlib.import_module(name)
    gc.collect()
    gc.freeze()


def run(tests: list[str], limit_seconds: float) -> dict[str, Any]:
    """Run tests in a fork, until one fails."""
    sys.stdout.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _child(tests, writer)
    os.close(writer)
    end = time.monotonic() + limit_seconds
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reader)
            return {"verdict": TIMEOUT, "by": "", "ran": 0}
        time.sleep(0.02)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    # One that ended without an answer was ended by the change: a crash, or no memory.
    return json.loads(answer) if answer else {"verdict": KILLED, "by": "the process died", "ran": 0}


def _child(tests: list[str], writer: int) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with Path(os.devnull).open("r+b") as nothing:
        for stream in (0, 1, 2):
            os.dup2(nothing.fileno(), stream)
    selected = Selected(tests)
    files = list(dict.fromkeys(test.split("::")[0] for test in tests))
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *files], plugins=[selected])
    good = code in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    by = "" if good else next(iter(selected.failed), str(code))
    answer = json.dumps({"verdict": SURVIVED if good else KILLED, "by": by, "ran": selected.ran})
    os.write(writer, answer.encode())
    os._exit(0)


def main() -> None:
    """Serve until standard input ends."""
    sys.dont_write_bytecode = True
    preload()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        path = Path(job["path"])
        kept = path.with_suffix(".kept")
        shutil.copy2(path, kept)
        try:
            path.write_text(job["source"])
            answer = run(job["tests"], job["limit_seconds"])
        finally:
            kept.replace(path)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
