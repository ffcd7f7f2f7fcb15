"""``detectors`` is pure. import-linter names what it must not import; this holds the list of what it may."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DETECTORS, STREAMS = ROOT / "detectors", ROOT / "streams"

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
        "watches = audit.audit.watches",
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
