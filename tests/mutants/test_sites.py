"""What can be changed in the code, and what is left out because no test of behaviour could notice."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest

from tests.mutants.sites import PACKAGES, changes, sites_of

ROOT = Path(__file__).parent.parent.parent


def changed(source: str) -> list[str]:
    """The file after each of its changes."""
    return [site.applied(source.encode()).decode() for site in changes("some.py", source.encode())]


@pytest.mark.parametrize(
    ("source", "after"),
    [
        ("def f(a, b): return a <= b", ["def f(a, b): return a < b"]),
        ("def f(a, b): return a is not b", ["def f(a, b): return (a is b)"]),
        ("def f(a, b): return a and b", ["def f(a, b): return (a or b)"]),
        ("def f(a): return not a", ["def f(a): return (a)"]),
        ("def f(a, b): return a // b", ["def f(a, b): return (a * b)"]),
        ("def f(a, b): return min(a, b)", ["def f(a, b): return max(a, b)"]),
        ("def f(a=True): pass", ["def f(a=False): pass"]),
        ("def f(a, b):\n    if a: b()", ["def f(a, b):\n    if (not a): b()", "def f(a, b):\n    if a: pass"]),
        ("def f(a):\n    for b in a: return b", ["def f(a):\n    for b in (): return b"]),
        ("def f(a): a.b = a", ["def f(a): pass"]),
        ("def f(a, b): return a if b else b", ["def f(a, b): return (a)", "def f(a, b): return (b)"]),
        ("LIMIT = 40", ["LIMIT = 80"]),
        ("def f(): return 'ä', 40", ["def f(): return 'ä', 41"]),
    ],
)
def test_a_change_replaces_one_piece_of_the_file(source: str, after: list[str]) -> None:
    assert sorted(changed(source)) == sorted(after)


@pytest.mark.parametrize(
    "source",
    [
        '"""Text of 3 < 4."""',
        "def f(a: int | None = None) -> int | str: ...",
        "Name = int | str",
        "def f(a): raise ValueError(f'{a + 1} is no {a}', a + 1)",
        "def f(a): assert a > 0",
        "def f(a): log.info('so many', events=a + 1)",
        "class A:\n    def __repr__(self): return self.a + 1",
        "class A(Struct, gc=False): pass",
        "@dataclass(frozen=True)\nclass A: pass",
        "def f(a): return f'{a + 1:.0%}'",
        "def f(a): return zip(a, a, strict=True)",
        "if TYPE_CHECKING:\n    A = 1",
    ],
)
def test_what_no_test_of_behaviour_notices_is_not_changed(source: str) -> None:
    assert changed(source) == []


def test_every_change_of_the_code_is_valid_python_and_no_two_are_alike() -> None:
    sites = sites_of(ROOT)
    assert {site.package for site in sites} == set(PACKAGES)
    assert len({(site.path, site.start, site.end, site.replacement) for site in sites}) == len(sites)
    for site in random.Random(1).sample(sites, 60):
        source = (ROOT / site.path).read_bytes()
        after = site.applied(source)
        assert ast.dump(ast.parse(after)) != ast.dump(ast.parse(source))
