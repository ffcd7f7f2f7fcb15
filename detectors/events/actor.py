"""The hash of an actor, and the bit of it that says whether the event came with the age of an account.

A platform that says how old accounts are says it of every account, so an actor without an age is a visitor. The lowest
bit of the 63-bit hash is 1 where the age was given. It is part of the hash in the log and in stored state; where two
acts are compared by who did them, it does not count: the same actor may come with and without an age.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Actors = TypeVar("Actors", int, NDArray[np.int64])
"""One hash, or a column of them."""

_ACCOUNT = 1
_WITHOUT = ~_ACCOUNT


def with_account(actors: Actors, given: Any) -> Actors:
    """Hashes without the bit, with it set where an account's age was ``given`` (one truth value, or a column).

    >>> with_account(8, True), with_account(8, False), with_account(np.array([8, 2]), np.array([True, False])).tolist()
    (9, 8, [9, 2])
    """
    marked: Actors = actors | given
    return marked


def without_account(actors: Actors) -> Actors:
    """Hashes by which actors are compared, whether the age of an account was given or not.

    >>> without_account(9), without_account(8), without_account(np.array([9, 8])).tolist()
    (8, 8, [8, 8])
    """
    return actors & _WITHOUT


def all_without_account(actors: Iterable[int]) -> list[int]:
    """As ``without_account`` for single numbers, without a call for each.

    >>> all_without_account([9, 8])
    [8, 8]
    """
    return [actor & _WITHOUT for actor in actors]


def count_accounts(actors: Iterable[int]) -> int:
    """How many of these actors came with the age of an account.

    >>> count_accounts([9, 8, 3])
    2
    """
    return sum(actor & _ACCOUNT for actor in actors)
