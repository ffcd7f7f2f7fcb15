"""Only one module knows how a key of the state is made up; all others ask it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

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
