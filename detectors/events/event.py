"""The native event, and the columns in which events travel to the detectors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

MetricName = Literal["view", "like", "follow"]

METRICS: tuple[str, ...] = ("view", "like", "follow")
METRIC_INDEX: dict[str, int] = {name: index for index, name in enumerate(METRICS)}

MAX_ID_BYTES = 255
"""Longest id accepted, in UTF-8 bytes: ids are keys of bounded maps, so their size is bounded too."""

NOBODY = -1
"""The actor of an event without an actor, where actors are hashes."""

TEXT_CHARS, SESSION_CHARS, COUNTRY_CHARS = 2048, 255, 64
"""Longest texts that are kept of an event: longer ones are cut, and a longer country is none. A session stands in the
log, a user agent and a referrer do not."""

MAX_TS_MS = 253_402_300_799_999
"""The last millisecond of year 9999: later times are typing errors (microseconds, usually)."""

NETWORK_BUCKETS = 1024
MIX_BUCKETS = 256
"""Networks, agents, referrers and countries are counted in hashed buckets: a histogram of fixed size
merges, commutes and compares; a table of names does none of the three within a bound."""

OWNER_SPACE = 1 << 31
"""Owners are told apart by hashes below this."""

COHORT_BUCKETS = 1024
COHORT_MS = 3 * 86_400_000
"""Accounts made within the same three days are a cohort: sellers make theirs in batches."""
FRESH_ACCOUNT_MS = 30 * 86_400_000
"""Age under which an account is fresh: sellers' accounts are mostly weeks old when first used."""


def account_bucket(created_ms: int | None, ts_ms: int) -> int:
    """An account's cohort and, in the lowest bit, whether it was fresh at the event; -1 if its age is not given.

    >>> account_bucket(0, 10), account_bucket(0, FRESH_ACCOUNT_MS), account_bucket(None, 10)
    (1, 0, -1)
    """
    if created_ms is None:
        return -1
    return created_ms // COHORT_MS % COHORT_BUCKETS * 2 + (ts_ms - created_ms < FRESH_ACCOUNT_MS)


def account_buckets(created_ms: NDArray[np.int64], ts_ms: NDArray[np.int64]) -> NDArray[np.int32]:
    """``account_bucket`` of columns, in which -1 is "not given"."""
    cohorts = created_ms // COHORT_MS % COHORT_BUCKETS * 2 + (ts_ms - created_ms < FRESH_ACCOUNT_MS)
    buckets: NDArray[np.int32] = np.where(created_ms < 0, -1, cohorts).astype(np.int32)
    return buckets


def network_bucket(network: int, country: int) -> int:
    """A network's bucket within its country: a crowd of one country must not look like one of few networks.

    >>> network_bucket(7, -1), network_bucket(7, 0), network_bucket(-1, 3)
    (7, 1031, -1)
    """
    return network if network < 0 else network + country_offset(country)


def country_offset(country: Any) -> Any:
    """What a country (a bucket or an array of them, -1 not given) adds to its networks' buckets."""
    return NETWORK_BUCKETS * (country + 1)


Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES)]
Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=MAX_TS_MS)]
Span = Annotated[int, msgspec.Meta(ge=0, le=MAX_TS_MS)]


class Event(msgspec.Struct, gc=False, omit_defaults=True):
    """One view, like or follow. Times are epoch milliseconds, durations milliseconds."""

    ts: Millis
    actor: Id | None
    """None: nobody. It must be given: a field that is missing is a mistake of the producer's"""
    target: Id
    metric: MetricName | None = None
    """None: the input topic's own"""
    id: Id | None = None
    owner: Id | None = None
    ip: Text | None = None
    user_agent: Text | None = None
    session: Annotated[str, msgspec.Meta(max_length=SESSION_CHARS)] | None = None
    watch_ms: Span | None = None
    duration_ms: Span | None = None
    referrer: Text | None = None
    country: Annotated[str, msgspec.Meta(max_length=COUNTRY_CHARS)] | None = None
    actor_created_at: Millis | None = None
    undo: bool = False
    history: bool = False
    """of a snapshot or a backfill: counted, never judged"""


FIELDS: tuple[str, ...] = Event.__struct_fields__
REQUIRED: tuple[str, ...] = ("metric", "ts", "actor", "target")
"""Fields an event cannot do without (the metric may be its topic's, the actor may be None)."""


Column = list[int] | NDArray[np.integer[Any]]
"""Numbers, one an event: a list where they are few or come from a list, an array where they are computed."""


class EventBlock(msgspec.Struct, gc=False):
    """Events of one partition as equally long columns; -1 in an optional column means "not given".

    ``actor`` and ``ident`` are 63-bit hashes; the lowest bit of ``actor`` is 1 where an account's age came with the
    event, and an ``actor`` of NOBODY is an event without one. ``network`` … ``country`` are bucket numbers,
    ``network`` within its country (``network_bucket``), and ``account`` says in which days the account was made and
    whether it is fresh (``account_bucket``). ``owner`` is a hash below OWNER_SPACE.
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
