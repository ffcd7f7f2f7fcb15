"""Columns of events, as detection reads them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Column = list[int] | NDArray[np.integer[Any]]
"""Numbers, one an event: a list where they are few or come from a list, an array where they are computed."""


class EventBlock(msgspec.Struct, gc=False):
    """Events of one partition as equally long columns; -1 in an optional column means "not given".

    ``actor`` and ``ident`` are 63-bit hashes; ``actor`` also says whether an account's age came with the event
    (``events.actor``), and an ``actor`` of NOBODY is an event without one. ``network`` … ``country`` are bucket
    numbers, ``network`` within its country (``network_bucket``), and ``account`` says in which days the account was
    made and whether it is fresh (``account_bucket``). ``owner`` is a hash below OWNER_SPACE.
    An optional column that nobody filled is None as a whole.
    """

    target: list[str]
    metric: list[int]
    ts: Column
    actor: Column
    ident: Column | None = None
    network: Column | None = None
    agent: Column | None = None
    referrer: Column | None = None
    country: Column | None = None
    account: Column | None = None
    watch: Column | None = None
    owner: Column | None = None
    undo: list[bool] | None = None
    spent: Column | None = None
    """how long was watched, in ms"""
    rule: Column | None = None
    """what is known of it for the rules, without its history (rules.reasons.TAGS)"""
    history: list[bool] | None = None
    """which are historic: counted, never judged"""


FEW_EVENTS = 12
"""Events of a block under which arrays do not pay (measured)."""
