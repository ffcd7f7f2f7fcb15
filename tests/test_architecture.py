"""``detectors`` is pure: import-linter names what it must not import; this has the list of what it may.

What measures time in ``streams`` asks the clock that it was given.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DETECTORS, STREAMS = ROOT / "detectors", ROOT / "streams"

ON_A_CLOCK = (
    *("streams/engine", "streams/ingest", "streams/targets", "streams/state", "streams/worker.py"),
    *("streams/kafka/transport.py", "streams/kafka/reader.py", "streams/kafka/partition_reader.py"),
    *("streams/maintenance/rebuild.py", "streams/maintenance/repartition.py", "streams/service/health.py"),
)
"""Files and folders that never ask the machine for the time."""

LIBRARIES = {"detectors", "msgspec", "numpy", "river"}
# Of the standard library, what reads a file, the environment, the network, a clock or chance.
IMPURE = {
    *(
        "_thread",
        "asyncio",
        "builtins",
        "concurrent",
        "contextvars",
        "ctypes",
        "fileinput",
        "glob",
        "http",
        "importlib",
    ),
    *(
        "io",
        "locale",
        "logging",
        "mmap",
        "multiprocessing",
        "os",
        "pathlib",
        "pickle",
        "platform",
        "posix",
        "random",
    ),
    *(
        "sched",
        "secrets",
        "select",
        "selectors",
        "shelve",
        "shutil",
        "signal",
        "socket",
        "socketserver",
        "sqlite3",
    ),
    *("ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid"),
}
ALLOWED = (set(sys.stdlib_module_names) | LIBRARIES) - IMPURE

# hash() of a string differs from process to process: state that rests on it cannot be replayed.
CALLS = {"open", "print", "input", "exec", "eval", "hash", "__import__"}
CLOCKS = {"now", "today", "utcnow"}


def _nodes(package: Path) -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", node


def _impure(node: ast.AST) -> str | None:
    """What a node does that detectors may not, None if nothing."""
    match node:
        case ast.Import(names=names):
            foreign = [name.name for name in names if name.name.partition(".")[0] not in ALLOWED]
            return f"import {', '.join(foreign)}" if foreign else None
        case ast.ImportFrom(module=module, level=0) if (module or "").partition(".")[0] not in ALLOWED:
            return f"from {module} import"
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            return f"{name}()"
        case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCKS:
            return f".{name}()"
        case _:
            return None


def test_detectors_touch_no_broker_file_clock_or_chance() -> None:
    found = [f"{where}: {impure}" for where, node in _nodes(DETECTORS) if (impure := _impure(node)) is not None]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import numpy, os.path",
        "from random import Random",
        "import streams.settings",
        "from faust import App",
        "datetime.now(UTC)",
        "open('state')",
        "hash('a target')",
    ],
)
def test_a_slip_would_be_seen(source: str) -> None:
    assert any(_impure(node) for node in ast.walk(ast.parse(source)))


@pytest.mark.parametrize("source", ["import math", "from river import stats", "import numpy as np", "np.log(2)"])
def test_what_is_allowed_passes(source: str) -> None:
    assert not any(_impure(node) for node in ast.walk(ast.parse(source)))


def _modules(place: str) -> list[Path]:
    path = ROOT / place
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _timed(node: ast.AST) -> str | None:
    """How a node asks the machine for the time or for a sleep, None if it does not."""
    match node:
        case ast.Import(names=names) if any(name.name == "time" for name in names):
            return "import time"
        case ast.ImportFrom(module="time"):
            return "from time import"
        case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCKS:
            return f".{name}()"
        case ast.Attribute(value=ast.Name(id="asyncio"), attr="sleep"):
            return "asyncio.sleep"
        case _:
            return None


def _timed_in(source: str) -> list[str]:
    """All places of a source that do; ``asyncio.sleep(0)`` only lets other coroutines run."""
    timed = [_timed(node) for node in ast.walk(ast.parse(source.replace("asyncio.sleep(0)", "a_turn()")))]
    return [one for one in timed if one is not None]


@pytest.mark.parametrize("place", ON_A_CLOCK)
def test_what_measures_time_asks_the_clock_that_it_was_given(place: str) -> None:
    modules = _modules(place)
    assert modules
    assert {str(path): timed for path in modules if (timed := _timed_in(path.read_text()))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import monotonic",
        "datetime.now(UTC)",
        "await asyncio.sleep(0.5)",
        "field(asyncio.sleep)",
    ],
)
def test_a_look_at_the_time_of_the_machine_would_be_seen(source: str) -> None:
    assert _timed_in(source)


@pytest.mark.parametrize("source", ["await asyncio.sleep(0)", "clock.monotonic()", "await clock.sleep(2)"])
def test_a_turn_of_the_event_loop_and_a_given_clock_pass(source: str) -> None:
    assert not _timed_in(source)


def _imported(folder: str) -> set[str]:
    """The top-level packages that the files of a folder import."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / folder).rglob("*.py")]
    found = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_the_bench_imports_no_tests_and_nothing_that_ships_imports_either() -> None:
    assert "streams" in _imported("bench")
    assert "tests" not in _imported("bench")
    assert not {"tests", "bench"} & (_imported("streams") | _imported("detectors"))


def _reaches_inside(node: ast.AST) -> str | None:
    """An attribute of an attribute of an audit: what is inside an audit is its own; it offers methods and parts."""
    match node:
        case ast.Attribute(value=ast.Attribute(value=of) | ast.Subscript(value=ast.Attribute(value=of))):
            name = of.attr if isinstance(of, ast.Attribute) else of.id if isinstance(of, ast.Name) else ""
            return ast.unparse(node) if name.lstrip("_") == "audit" else None
        case _:
            return None


def test_streams_does_not_reach_inside_an_audit() -> None:
    found = [f"{where}: {inside}" for where, node in _nodes(STREAMS) if (inside := _reaches_inside(node)) is not None]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "watches = audit.audit.target_states",
        "self.audit.intake.starts()",
        "self._audit.platforms[0].rates.usual()",
        "audit.unjudged.ranges(7)",
    ],
)
def test_a_reach_inside_would_be_seen(source: str) -> None:
    assert any(_reaches_inside(node) for node in ast.walk(ast.parse(source)))


@pytest.mark.parametrize("source", ["self.audit.parts()", "audit.audit", "meta.audit['audit']['now']", "audit.now_ms"])
def test_what_an_audit_offers_may_be_used(source: str) -> None:
    assert not any(_reaches_inside(node) for node in ast.walk(ast.parse(source)))
