"""Which lines each test runs and how long it takes: a plugin of pytest, under which the suite is run once.

Without MEASURED in the environment it does nothing. For each file of tests a file is written into the folder that is
named there. Tests that read a clock are left out: a busy machine fails them, whatever has been changed.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import time
from collections.abc import Generator
from pathlib import Path

import coverage
import hypothesis
import pytest

from tests.mutants.sites import PACKAGES

MEASURED = "MUTANTS_MEASURED"
CLOCKS = ("perf_counter", "process_time", "monotonic")
EXAMPLES = 50
"""Of each property: half of what ``make test`` draws, which takes half as long."""
LEFT_OUT = ("integration", "slow")
"""Marks of tests that are not asked: each takes more time than there is for a change."""
NO_TEST = "import"
"""Context of lines that run while no test does."""


def same_examples() -> None:
    """Have hypothesis draw the same examples for every change, keep none, and not look for the smallest that fails."""
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutants", max_examples=EXAMPLES, database=None, deadline=None, derandomize=True, phases=phases
    )
    hypothesis.settings.load_profile("mutants")


class Measuring:
    """Coverage by test, of the packages that are changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()
        include = [f"{Path.cwd()}/{package}/*.py" for package in PACKAGES]
        self._coverage = coverage.Coverage(data_file=None, config_file=False, include=include)

    def pytest_sessionstart(self) -> None:
        same_examples()
        self._coverage.start()
        self._coverage.switch_context(NO_TEST)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if not (any(map(item.get_closest_marker, LEFT_OUT)) or _reads_a_clock(item))]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        self._coverage.switch_context(item.nodeid)
        began = time.process_time()  # of the processor: how busy the machine is must not matter
        try:
            return (yield)
        finally:
            self._seconds[item.nodeid] = time.process_time() - began
            self._coverage.switch_context(NO_TEST)
            if nextitem is None or nextitem.path != item.path:
                _forget()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        data = self._coverage.get_data()
        by_file: dict[str, list[str]] = {}
        for test in self._seconds:
            by_file.setdefault(test.split("::")[0], []).append(test)
        lines = {
            Path(name).relative_to(Path.cwd()).as_posix(): data.contexts_by_lineno(name)
            for name in data.measured_files()
        }
        for path, tests in by_file.items():
            number = {test: place for place, test in enumerate(tests)}
            ran = {
                code: {line: [number[test] for test in by if test in number] for line, by in by_line.items()}
                for code, by_line in lines.items()
            }
            measured = {
                "seconds": {test: self._seconds[test] for test in tests},
                "failed": sorted(self._failed.intersection(tests)),
                "lines": {code: {line: by for line, by in by_line.items() if by} for code, by_line in ran.items()},
            }
            into = self._folder / f"{path.replace('/', '.')}-{os.getpid()}.json"
            into.write_text(json.dumps(measured))


def _forget() -> None:
    """Forget what test files have computed, so that the next one that uses it is seen to run it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("tests."):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def _reads_a_clock(item: pytest.Item) -> bool:
    function = getattr(item, "function", None)
    try:
        source = inspect.getsource(inspect.unwrap(function)) if function is not None else ""
    except OSError:
        return False
    return any(clock in source for clock in CLOCKS)


def pytest_configure(config: pytest.Config) -> None:
    """Measure where tests are run: xdist's own process only hands them out."""
    folder = os.environ.get(MEASURED)
    if folder and (hasattr(config, "workerinput") or config.getoption("numprocesses", None) is None):
        config.pluginmanager.register(Measuring(Path(folder)), "measuring")
