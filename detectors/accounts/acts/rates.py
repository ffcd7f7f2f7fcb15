"""What is computed at points of the grid: decayed rates, and the aging of what was counted."""

from __future__ import annotations

import numpy as np

from detectors.accounts.storage.columns import Rows
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTES_MS

GRID_MS = MINUTES_MS
"""Rulings, answers and rates are computed at multiples of five minutes of event time."""

_STEPS = 8_192
"""Points of the grid (four weeks) after which nothing is left of a rate."""
_HOUR = np.array([2.0 ** (-step * GRID_MS / HOUR_MS) for step in range(_STEPS)] + [0.0])
_DAY = np.array([2.0 ** (-step * GRID_MS / DAY_MS) for step in range(_STEPS)] + [0.0])

COMPARED_MAX = 128
"""Comparisons at which they are halved: what an account did lately counts."""
GAPS_MAX = 127
WATCHED_MAX_MS = 1 << 31


def fold(rows: Rows, point: int) -> None:
    """Bring rates up to a point of the grid (its number), and halve what has grown large."""
    steps = np.minimum(np.maximum(point - rows["rated"].astype(np.int64), 0), _STEPS)
    recent = rows["recent"].astype(np.float64)
    rows["hour_rate"] = rows["hour_rate"].astype(np.float64) * _HOUR[steps] + recent
    rows["day_rate"] = rows["day_rate"].astype(np.float64) * _DAY[steps] + recent
    rows["recent"], rows["rated"] = 0, point
    run = np.maximum(rows["last_ms"] // 1000 - rows["run_s"], 0) // 3600
    rows["longest_h"] = np.minimum(np.maximum(rows["longest_h"], run), 0xFFFF)
    _halve(rows, COMPARED_MAX, "compared", "even")
    _halve(rows, COMPARED_MAX, "shares", "same_shares")
    _halve(rows, WATCHED_MAX_MS, "watched_ms", "overlap_ms")
    crowded = rows["gaps"].max(axis=1) > GAPS_MAX
    rows["gaps"] = np.where(crowded[:, None], rows["gaps"] >> 1, rows["gaps"])


def _halve(rows: Rows, limit: int, total: str, part: str) -> None:
    """Halve two counters until the first is within its limit. Both lose the same, so their share stays."""
    while True:
        large = rows[total] > limit
        if not large.any():
            return
        for name in (total, part):
            rows[name] = np.where(large, rows[name] >> 1, rows[name])
