"""``detectors`` is pure. import-linter names what it must not import; this holds the list of what it may."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DETECTORS = ROOT / "detectors"

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


def _nodes() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(DETECTORS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            yield f"{path.relative_to(DETECTORS.parent)}:{getattr(node, 'lineno', 0)}", node


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
    found = [f"{where}: {impure}" for where, node in _nodes() if (impure := _impure(node)) is not None]
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


# Names that a key has, whatever its type is there: a field that is called `key`, and arguments that are declared a Key.
KEY_MODULE = "detectors/events/key.py"


def _cuts(source: str) -> list[int]:
    """Lines of Python source in which a key is cut by index: ``key[0]``, ``hit.key[1:]``, ``name[1:]`` of a Key."""
    if "key[" not in source and "Key" not in source:
        return []  # most files, and to parse all of them takes seconds
    return [line for scope in ast.walk(ast.parse(source)) for line in _cuts_in(scope)]


def _cuts_in(scope: ast.AST) -> Iterator[int]:
    if not isinstance(scope, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return
    names = {"key", *_declared_keys(scope)}
    for node in _own_nodes(scope):
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=cut) if name in names and _is_constant(cut):
                yield node.lineno
            case ast.Subscript(value=ast.Attribute(attr="key"), slice=cut) if _is_constant(cut):
                yield node.lineno


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, without those of the functions in it."""
    for node in ast.iter_child_nodes(scope):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from _own_nodes(node)


def _declared_keys(scope: ast.AST) -> Iterator[str]:
    """Names that are a Key in a scope: its arguments, and variables that are declared or made as one."""
    for node in _own_nodes(scope):
        match node:
            case ast.arguments(posonlyargs=first, args=middle, kwonlyargs=last):
                yield from (each.arg for each in (*first, *middle, *last) if _is_key_type(each.annotation))
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if _is_key_type(annotation):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="Key" | "key_of"))):
                yield name


def _is_key_type(annotation: ast.expr | None) -> bool:
    return isinstance(annotation, ast.Name) and annotation.id == "Key"


def _is_constant(cut: ast.expr) -> bool:
    """Whether an index is a number, or a slice that has numbers for bounds."""
    bounds = [cut.lower, cut.upper, cut.step] if isinstance(cut, ast.Slice) else [cut]
    given = [bound for bound in bounds if bound is not None]
    return all(isinstance(bound, ast.Constant) and isinstance(bound.value, int) for bound in given)


def test_only_the_module_of_keys_cuts_a_key_by_index() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("detectors", "streams", "bench", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if str(path.relative_to(ROOT)) != KEY_MODULE
        for line in _cuts(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "int(key[0])",
        "look.key[1:]",
        "crc32(hit.key[1:].encode())",
        "def f(one: Key, *, two: str) -> str: return one[1:]",
        "name = Key(value.decode())\nprint(name[0])",
        "name: Key = NO_KEY\nname[:1]",
        "def f():\n    return lambda key: key[0]",
    ],
)
def test_a_cut_of_a_key_would_be_seen(source: str) -> None:
    assert _cuts(source)


@pytest.mark.parametrize(
    "source", ["key[len(PREFIX) :]", "records.key[place]", "name[1:]", "metric_of(key)", "def f(name: Key, x): x[0]"]
)
def test_other_cuts_are_none_of_a_key(source: str) -> None:
    assert not _cuts(source)
