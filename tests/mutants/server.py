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

PATIENCE = 10
"""By how many times a run may take longer than it has of the processor: the machine may be busy."""

KILLED, SURVIVED, TIMEOUT, FAULT = "killed", "survived", "timeout", "fault"
"""A fault is one of this tool: the tests could not be run at all."""


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
    ours = {path.stem for path in Path.cwd().iterdir()}
    for name in sorted(names):
        if name.split(".")[0] not in {*ours, "quixstreams"}:
            with contextlib.suppress(ImportError), warnings.catch_warnings(action="ignore"):
                importlib.import_module(name)
    changed = [name for name in sys.modules if name.partition(".")[0] in {"detectors", "streams"}]
    assert not changed, "what is imported here is not imported again with a change"
    gc.collect()
    gc.freeze()


def run(tests: list[str], limit_seconds: int) -> dict[str, Any]:
    """Run tests in a fork, until one fails. It has ``limit_seconds`` of the processor, and PATIENCE times that."""
    sys.stdout.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_CPU, (limit_seconds, limit_seconds))
        _child(tests, writer)
    os.close(writer)
    end = time.monotonic() + PATIENCE * limit_seconds
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
        time.sleep(0.02)
    if ended == (0, 0):
        os.killpg(child, signal.SIGKILL)
        ended = os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    if answer:
        found: dict[str, Any] = json.loads(answer)
        return found
    # One that ended without an answer was ended by the change: by its limit, by a crash, or for want of memory.
    endless = os.WIFSIGNALED(ended[1]) and os.WTERMSIG(ended[1]) in {signal.SIGKILL, signal.SIGXCPU}
    return {"verdict": TIMEOUT if endless else KILLED, "by": "" if endless else "the process died", "ran": 0}


def _child(tests: list[str], writer: int) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with Path(os.devnull).open("r+b") as nothing:
        for stream in (0, 1, 2):
            os.dup2(nothing.fileno(), stream)
    selected = Selected(tests)
    files = list(dict.fromkeys(test.split("::")[0] for test in tests))
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *files], plugins=[selected])
    if selected.failed:
        verdict, by = KILLED, selected.failed[0]
    elif code == pytest.ExitCode.OK and selected.ran:
        verdict, by = SURVIVED, ""
    else:
        verdict, by = FAULT, f"pytest ended with {int(code)}, after {selected.ran} tests"
    os.write(writer, json.dumps({"verdict": verdict, "by": by, "ran": selected.ran}).encode())
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
