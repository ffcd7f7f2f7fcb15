"""Actors' hashes: the same actor with and without the age of an account, one by one and in columns."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.events.actor import all_without_account, count_accounts, with_account, without_account
from detectors.windows.crowd import HASH_SPACE
from streams.log.hashing import actor_hashes

PACKAGES = [Path(__file__).parents[3] / name for name in ("detectors", "streams", "bench")]
HASHES = st.lists(st.tuples(st.integers(0, HASH_SPACE - 1), st.booleans()), max_size=20)


@given(HASHES)
def test_a_column_is_marked_and_compared_as_single_hashes_are(acts: list[tuple[int, bool]]) -> None:
    plain = [without_account(actor) for actor, _ in acts]
    marked = [with_account(actor, given_age) for actor, (_, given_age) in zip(plain, acts, strict=True)]
    column = np.array(plain, np.int64)
    assert with_account(column, np.array([given_age for _, given_age in acts], bool)).tolist() == marked
    assert without_account(np.array(marked, np.int64)).tolist() == all_without_account(marked) == plain
    assert count_accounts(marked) == sum(given_age for _, given_age in acts)
    assert count_accounts(plain) == 0


def test_an_actor_is_hashed_without_an_account_until_its_age_is_given() -> None:
    names = [f"u{number}" for number in range(200)]
    assert without_account(actor_hashes(names)).tolist() == actor_hashes(names).tolist()


def test_no_other_module_takes_the_bit_of_an_account() -> None:
    found = [
        f"{path}:{node.lineno}"
        for package in PACKAGES
        for path in package.rglob("*.py")
        if path.name != "actor.py" and re.search(r"& ~?1\b", source := path.read_text())
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd) and _takes_the_lowest_bit_of_an_actor(node)
    ]
    assert found == []


def _takes_the_lowest_bit_of_an_actor(node: ast.BinOp) -> bool:
    """Whether it is ``… actor … & 1`` or ``… & ~1``."""
    mask = ast.unparse(node.right)
    return mask == "~1" or (mask == "1" and ast.unparse(node.left).endswith(("actor", "actors")))
