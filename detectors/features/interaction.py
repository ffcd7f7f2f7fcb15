"""Features of interaction: likes and follows compared with views."""

from __future__ import annotations

import numpy as np

from detectors.features import names as f
from detectors.features.columns import Column


def silent(people: Column, acts: Column, rate: float) -> tuple[Column, Column]:
    """SILENT and INTERACTIONS of view windows: the share of the expected likes and follows that are missing, and those.

    ``acts`` are their likes and follows, NaN where not known; ``rate`` those expected per person. Both are NaN if fewer
    than INTERACTIONS_MIN are expected.

    >>> silent(np.array([1000.0, 20.0]), np.array([5.0, 0.0]), 0.05)[0].tolist()
    [0.9, nan]
    """
    expected = people * rate
    known = (expected >= f.INTERACTIONS_MIN) & ~np.isnan(acts)
    missing = np.maximum(0.0, 1.0 - acts / np.where(known, expected, 1.0))
    return np.where(known, missing, np.nan), np.where(known, expected, np.nan)


def lonely(acts: int, views: int, rate: float, viewers: float = 0.0) -> float:
    """LONELY of a window of likes or follows: share that neither views nor viewers account for.

    ``rate`` is likes or follows per view, ``viewers`` the number of ``acts`` by people who had viewed.

    >>> lonely(100, 0, 0.05), lonely(100, 500, 0.05), round(lonely(100, 250, 0.05), 2)
    (1.0, 0.0, 0.5)
    >>> lonely(100, 100, 0.05, viewers=90.0)
    0.1
    """
    return max(0.0, round(1.0 - max(f.LONELY_FACTOR * rate * views, viewers) / acts, 9))
