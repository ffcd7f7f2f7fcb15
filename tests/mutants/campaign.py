"""A sample of changes, each tried in a copy of the tree: one copy and one process for every core."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.mutants.measured import Chosen, Measured
from tests.mutants.measuring import MEASURED
from tests.mutants.server import FAULT, SURVIVED
from tests.mutants.sites import Site

CORES = 2
COPIED = ("detectors", "streams", "tests", "bench", "deploy", "docs")
SUITE = ("tests/detectors", "tests/contract", "tests/streams", "detectors", "streams")
LEFT_OUT = (
    "tests/detectors/lab",
    *(f"tests/streams/{name}" for name in ("cli", "demo", "kafka", "maps", "offline", "service", "settings")),
)
"""What is tested there is nothing of what is changed, or all of it at once, and takes long."""
KEPT = Path("build/mutants")
"""Where it is kept what the tests run, until a file changes; ``make clean`` takes it away."""

STAGES = (4, 12)
"""Files of tests that are collected at first, and next, before all others."""
BUDGET_SECONDS = 45.0
"""Processor time of the tests that are run on one change at first, by what they took without it."""
SECOND_BUDGET_SECONDS = 120.0
"""The same for what survives the first round, while there is time: ``make test`` runs all of these tests, too."""
STAGE_SECONDS, SLOWER = 30.0, 5.0
"""A run that takes half a minute of the processor, and five times what its tests took, is one that does not end."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a change."""

    site: Site
    kind: str
    diff: str
    note: str
    """the test that noticed, or what was not asked"""
    left_out: int = 0
    """tests that run the line and were not asked"""


class Campaign:
    """Copies of the tree, with the processes that run tests in them."""

    def __init__(self, root: Path, *, measure_again: bool) -> None:
        self._root = root
        self._folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        self._servers: list[_Server] = []
        self._measure_again = measure_again

    def __enter__(self) -> Self:
        first = self._folder / "tree0"
        first.mkdir()
        for name in COPIED:
            shutil.copytree(self._root / name, first / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (path for path in self._root.iterdir() if path.is_file()):
            shutil.copy2(path, first / path.name)
        self.measured = Measured(first, self._parts(first))
        for number in range(1, CORES):
            shutil.copytree(first, self._folder / f"tree{number}")
        self._servers = [_Server(self._folder / f"tree{number}") for number in range(CORES)]
        for server in self._servers:
            self._check(server)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, sample: list[Site], end: float) -> list[Verdict]:
        """Try changes until ``end`` of the monotonic clock; those that were tried, as they come."""
        first = self._round(sample, end, 0.0, BUDGET_SECONDS)
        again = [verdict.site for verdict in first if verdict.kind == SURVIVED and verdict.left_out]
        if not again or time.monotonic() >= end:
            return first
        print(f"second round: {len(again)} survivors, with tests that take longer", flush=True)
        second = {verdict.site: verdict for verdict in self._round(again, end, BUDGET_SECONDS, SECOND_BUDGET_SECONDS)}
        return [second.get(verdict.site, verdict) for verdict in first]

    def _round(self, sites: list[Site], end: float, from_seconds: float, to_seconds: float) -> list[Verdict]:
        """Try each change on the tests that come between these seconds of the processor."""
        todo: queue.SimpleQueue[Site] = queue.SimpleQueue()
        for site in sites:
            todo.put(site)
        verdicts: list[Verdict] = []

        def work(server: _Server) -> None:
            while time.monotonic() < end:
                try:
                    site = todo.get_nowait()
                except queue.Empty:
                    return
                verdict = self._try(server, site, from_seconds, to_seconds)
                verdicts.append(verdict)
                line = f"{len(verdicts):4} {verdict.kind:8} {site.path}:{site.line} ({site.what})  {verdict.note}"
                print(line.rstrip(), flush=True)

        threads = [threading.Thread(target=work, args=(server,)) for server in self._servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return verdicts

    def _check(self, server: _Server) -> None:
        """Without a change all tests must pass, or every change would seem to be noticed."""
        path, tests = self.measured.sample()
        answer = server.ask(_job(path, (self._root / path).read_text(), tests, STAGE_SECONDS + 10 * BUDGET_SECONDS))
        if answer["verdict"] != SURVIVED:
            raise SystemExit(f"tests fail without any change: {answer['by']}")

    def _try(self, server: _Server, site: Site, from_seconds: float, to_seconds: float) -> Verdict:
        source = (self._root / site.path).read_bytes()
        changed = site.applied(source).decode()
        diff = "".join(
            line if line.endswith("\n") else line + "\n"
            for line in list(difflib.unified_diff(source.decode().splitlines(True), changed.splitlines(True), n=0))[2:]
        )
        chosen = self.measured.choose(site)
        if not chosen:
            return Verdict(site, SURVIVED, diff, "no test runs this line")
        before = _affordable(chosen, from_seconds) if from_seconds else []
        asked = [part for part in _affordable(chosen, to_seconds) if part not in before]
        for first, last in zip((0, *STAGES), (*STAGES, None), strict=True):
            stage = asked[first:last]
            if not stage:
                break
            tests = [test for part in stage for test in part.tests]
            seconds = sum(part.seconds for part in stage)
            answer = server.ask(_job(site.path, changed, tests, STAGE_SECONDS + SLOWER * seconds))
            if answer["verdict"] == FAULT:
                raise SystemExit(f"the tests of {site.path}:{site.line} could not be run: {answer['by']}")
            if answer["verdict"] != SURVIVED:
                return Verdict(site, answer["verdict"], diff, answer["by"])
        left = sum(len(part.tests) for part in chosen if part not in before and part not in asked)
        note = f"{left} slow tests that run this line were left out" if left else ""
        return Verdict(site, SURVIVED, diff, note, left)

    def _parts(self, tree: Path) -> list[Path]:
        """What each file of tests runs: measured in a copy, and kept until it or the code changes."""
        kept = self._root / KEPT
        if self._measure_again:
            shutil.rmtree(kept, ignore_errors=True)
        digests = _digests(self._root)
        missing = [path for path, digest in digests.items() if not (kept / digest).exists()]
        if missing:
            for old in kept.glob("*") if kept.exists() else ():
                if old.name not in digests.values():
                    shutil.rmtree(old)
            fresh = self._folder / "measured"
            fresh.mkdir()
            _measure(tree, missing, fresh)
            for path in missing:
                folder = kept / digests[path]
                folder.mkdir(parents=True)
                for part in fresh.glob(f"{path.replace('/', '.')}-*.json"):
                    shutil.move(part, folder / part.name)
        return sorted(part for digest in digests.values() for part in (kept / digest).glob("*.json"))


def _digests(root: Path) -> dict[str, str]:
    """Of each file that has tests, what its measure depends on: its text, and that of all that is no test."""
    paths = sorted(path for name in SUITE for path in (root / name).rglob("*.py"))
    paths = [path for path in paths if not any(path.is_relative_to(root / name) for name in LEFT_OUT)]
    tests = {path for path in paths if path.name.startswith("test_")}
    common = hashlib.sha256()
    for path in sorted({*(root / "tests").glob("*.py"), *paths} - tests):
        common.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    digests = {}
    for path in paths:
        if path in tests or ">>>" in path.read_text():
            mine, name = common.copy(), path.relative_to(root).as_posix()
            mine.update(name.encode() + b"\0" + path.read_bytes())
            digests[name] = mine.hexdigest()[:24]
    return digests


def _measure(tree: Path, paths: list[str], into: Path) -> None:
    print(f"measuring which lines the tests of {len(paths)} files run ...", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.mutants.measuring", "-p", "no:cacheprovider"]
    command += ["--numprocesses", str(CORES), "--dist", "loadfile", *paths]
    began = time.monotonic()
    # Here bytecode is wanted: both copies are read with it afterwards.
    environment = _environment(tree) | {MEASURED: str(into), "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, cwd=tree, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout[-4000:], flush=True)
    if done.returncode not in {0, 1}:
        raise SystemExit(f"the tests could not be measured: pytest ended with {done.returncode}")
    print(f"measured in {time.monotonic() - began:.0f} s", flush=True)


def _affordable(chosen: list[Chosen], budget_seconds: float) -> list[Chosen]:
    """The first files of tests that fit into a budget of processor time; the likeliest one in any case."""
    asked, seconds = chosen[:1], sum(part.seconds for part in chosen[:1])
    for part in chosen[1:]:
        if seconds + part.seconds <= budget_seconds:
            seconds += part.seconds
            asked.append(part)
    return asked


def _job(path: str, source: str, tests: list[str], limit_seconds: float) -> dict[str, Any]:
    return {"path": path, "source": source, "tests": tests, "limit_seconds": round(limit_seconds)}


def _environment(tree: Path) -> dict[str, str]:
    # No bytecode: that of a change could be taken for that of the next one, of the same second and length.
    return {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}


class _Server:
    """A process of ``tests.mutants.server`` in a copy of the tree."""

    def __init__(self, tree: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.server"],
            cwd=tree,
            env=_environment(tree),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run the tests of a job on its change."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that runs tests has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer
