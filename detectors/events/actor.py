"""The hash of an actor, and its account bit: whether the event has an account age.

A platform that sends account ages sends them for every account, so an actor without an age is a visitor. The lowest bit
of the 63-bit hash is 1 if the age was given. The log and stored state contain the bit. Comparisons of actors ignore it,
because the same actor may come with and without an age.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Actors = TypeVar("Actors", int, NDArray[np.int64])
"""One hash, or a column of them."""

ACCOUNT_BIT = 1
"""The bit of an actor's hash that is 1 if the account's age was given."""
WITHOUT_ACCOUNT = ~ACCOUNT_BIT
"""Mask that clears the account bit, where a call for each actor would take too long."""


def with_account(actors: Actors, given: Any) -> Actors:
    """Set the account bit where an account's age was ``given`` (one truth value, or a column).

    >>> with_account(8, True), with_account(8, False), with_account(np.array([8, 2]), np.array([True, False])).tolist()
    (9, 8, [9, 2])
    """
    marked: Actors = actors | given
    return marked


def without_account(actors: Actors) -> Actors:
    """Clear the account bit, to compare actors.

    >>> without_account(9), without_account(8), without_account(np.array([9, 8])).tolist()
    (8, 8, [8, 8])
    """
    return actors & WITHOUT_ACCOUNT


def all_without_account(actors: Iterable[int]) -> list[int]:
    """As ``without_account`` for many numbers, without a call for each.

    >>> all_without_account([9, 8])
    [8, 8]
    """
    return [actor & WITHOUT_ACCOUNT for actor in actors]


def count_accounts(actors: Iterable[int]) -> int:
    """The number of actors with an account age.

    >>> count_accounts([9, 8, 3])
    2
    """
    return sum(actor & ACCOUNT_BIT for actor in actors)
