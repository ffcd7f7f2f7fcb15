"""Buckets of watch times, by length class and watched fraction."""

from __future__ import annotations

from bisect import bisect
from typing import Any

import numpy as np
from numpy.typing import NDArray

WATCH_BINS = 8
"""Bins of the watched fraction in each of the four length classes (watch_bucket)."""

WATCH_FRACTIONS = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.95)
"""Edges of the eight bins of the watched fraction."""
LENGTHS_MS = (60_000, 300_000, 1_200_000)
"""Edges of the four length classes: people leave a film and a clip at different points."""


def watch_bucket(watch_ms: int | None, duration_ms: int | None) -> int:
    """Bucket of a view's watch time: length class × bin of the watched fraction, -1 if not given.

    >>> watch_bucket(3_000, 240_000), watch_bucket(240_000, 240_000), watch_bucket(None, 240_000)
    (8, 15, -1)
    """
    if watch_ms is None or not duration_ms:
        return -1
    return bisect(LENGTHS_MS, duration_ms) * WATCH_BINS + bisect(WATCH_FRACTIONS, watch_ms / duration_ms)


def watch_buckets(watch_ms: NDArray[Any], duration_ms: NDArray[Any]) -> NDArray[np.int32]:
    """``watch_bucket`` of columns. -1 is "not given"."""
    given = (watch_ms >= 0) & (duration_ms > 0)
    length = np.where(given, duration_ms, 1)
    lengths = np.searchsorted(LENGTHS_MS, length, side="right")
    fractions = np.searchsorted(WATCH_FRACTIONS, watch_ms / length, side="right")
    buckets: NDArray[np.int32] = np.where(given, lengths * WATCH_BINS + fractions, -1).astype(np.int32)
    return buckets
