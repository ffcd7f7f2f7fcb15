"""A block of events as columns: the input of detection."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Column = list[int] | NDArray[np.integer[Any]]
"""One number for each event: a list if they are few or were read from a list, an array if they are computed."""


class EventBlock(msgspec.Struct, gc=False):
    """Events of one partition as columns of equal length. -1 in an optional column means "not given".

    ``actor`` and ``ident`` are 63-bit hashes; ``actor`` has the account bit (``events.actor``), and NOBODY means no
    actor. ``network`` … ``country`` are bucket numbers, ``network`` within its country (``network_bucket``).
    ``account`` is the cohort of the account and whether it is fresh (``account_bucket``). ``owner`` is a hash below
    OWNER_SPACE. An optional column is None if no event has a value.
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
    """watch time in ms"""
    rule: Column | None = None
    """tag of ingest's rules, which need no past events (rules.reasons.TAGS)"""
    history: list[bool] | None = None
    """whether the event is historic: counted, never judged"""
    unrelated: list[bool] | None = None
    """whether a like or follow is no state: its input has acts that honest actors repeat (shares, ratings)"""


FEW_EVENTS = 12
"""Number of events under which lists are faster than arrays (measured)."""
