"""Buckets of networks, accounts and countries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NETWORK_BUCKETS = 1024
MIX_BUCKETS = 256
"""Networks, agents, referrers and countries are counted in hashed buckets: histograms of fixed size
can be merged in any order and compared, in bounded memory. A table of names cannot."""

OWNER_SPACE = 1 << 31
"""Hashes of owners are below this."""

COHORT_BUCKETS = 1024
COHORT_MS = 3 * 86_400_000
"""Accounts created within the same three days are a cohort: sellers create theirs in batches."""
FRESH_ACCOUNT_MS = 30 * 86_400_000
"""Age under which an account is fresh: sellers' accounts are mostly weeks old when first used."""


def account_bucket(created_ms: int | None, ts_ms: int) -> int:
    """An account's cohort, and in the lowest bit whether it was fresh at the event; -1 if its age is not given.

    >>> account_bucket(0, 10), account_bucket(0, FRESH_ACCOUNT_MS), account_bucket(None, 10)
    (1, 0, -1)
    """
    if created_ms is None:
        return -1
    return created_ms // COHORT_MS % COHORT_BUCKETS * 2 + (ts_ms - created_ms < FRESH_ACCOUNT_MS)


def account_buckets(created_ms: NDArray[np.int64], ts_ms: NDArray[np.int64]) -> NDArray[np.int32]:
    """``account_bucket`` of columns. -1 is "not given"."""
    cohorts = created_ms // COHORT_MS % COHORT_BUCKETS * 2 + (ts_ms - created_ms < FRESH_ACCOUNT_MS)
    buckets: NDArray[np.int32] = np.where(created_ms < 0, -1, cohorts).astype(np.int32)
    return buckets


def network_bucket(network: int, country: int) -> int:
    """A network's bucket within its country: a crowd of one country must not appear to come from few networks.

    >>> network_bucket(7, -1), network_bucket(7, 0), network_bucket(-1, 3)
    (7, 1031, -1)
    """
    return network if network < 0 else network + country_offset(country)


def country_offset(country: Any) -> Any:
    """Offset of the buckets of a country's networks, for a country bucket or an array of them (-1 not given)."""
    return NETWORK_BUCKETS * (country + 1)
