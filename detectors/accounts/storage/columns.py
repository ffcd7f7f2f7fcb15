"""The columns of one account. They are persisted: fields are added at the end, with a new ROW_VERSION, never moved."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.void]
"""Accounts as a structured array of ROW."""

ROW_VERSION = 1
RING = 4
"""Latest distinct targets that a row has. Settlement looks for others than the one in question among them."""
GAP_EDGES_MS = np.array([1_000, 10_000, 60_000, 600_000, 3_600_000, 21_600_000, 86_400_000])
"""Edges of the eight bins of gaps between acts: about a factor of ten apart up to ten minutes, then parts of a day."""
GAP_LABELS = ("< 1 s", "< 10 s", "< 1 min", "< 10 min", "< 1 h", "< 6 h", "< 1 d", "≥ 1 d")

ACCOUNT, ROBOT, ADDRESS, ACTIVE, RETURNED, CHANGED, NEW_KIND = (1 << bit for bit in range(7))
"""Flags of a row. ACCOUNT: an account age was given. ROBOT: ingest's rules found a declared robot. ADDRESS: the id is
an address. ACTIVE: acted since the last point of the grid. RETURNED: acted again after a long absence. CHANGED: the
ruling has changed and is not published yet. NEW_KIND: it is of another kind than the published one."""

NO_SHARE = 0xFFFF
"""In place of a share of the duration: not given."""
SHARE_ONE = 1024
GAP_UNIT_MS = 16
"""Unit of the gap of a replay, so that two bytes have seventeen minutes."""
NO_OWNER = 0xFFFF_FFFF
NO_KIND = -1
"""In place of a kind of ruling: none."""

ROW = np.dtype(
    [
        ("actor", "<i8"),
        ("last_ms", "<i8"),  # latest event time
        ("acts", "<u4", 3),  # by metric, without undos
        ("first_s", "<u4"),  # first seen
        ("created_s", "<u4"),  # 0: not given
        ("busy_s", "<u4"),  # latest end of a playback, if views are emitted when they begin
        ("undos", "<u2"),
        ("flags", "<u2"),
        ("hours", "<u8", 3),  # active hours of the week, from Monday 0:00 UTC
        ("gaps", "<u1", 8),
        ("idle_ms", "<u4"),  # last gap, without the playback before it; 0: none
        ("compared", "<u2"),  # gaps that were compared with the gap before
        ("even", "<u2"),  # those that were as long
        ("last_target", "<u4"),
        ("last_watch", "<u4"),  # ms; 0 if the last act has none
        ("last_share", "<u2"),
        ("shares", "<u2"),  # watch shares that were compared with the one before
        ("same_shares", "<u2"),
        ("unwatched", "<u4"),  # views without watch time
        ("watched_ms", "<u4"),
        ("overlap_ms", "<u4"),  # watch time during which another video was playing
        ("run_s", "<u4"),  # beginning of the present time without a pause
        ("longest_h", "<u2"),  # longest such time, in hours
        ("minute", "<u4"),
        ("minute_acts", "<u2"),  # acts of this minute
        ("minute_peak", "<u2"),
        ("recent", "<u4"),  # acts since the rates were computed
        ("hour_rate", "<f4"),  # decayed counts with half-lives of an hour and a day
        ("day_rate", "<f4"),
        ("rated", "<u4"),  # when they were computed, in points of the grid
        ("days", "<u2"),  # days with acts
        ("seen_day", "<u2"),  # last day on which it was judged
        ("taught", "<u1"),  # kinds of conduct that it has taught the platform on that day
        ("targets", "<u8"),  # bits of hashes: distinct targets, owners viewed, networks
        ("viewed", "<u8", 2),
        ("networks", "<u4"),
        ("ring_target", "<u4", RING),
        ("ring_owner", "<u4", RING),
        ("ring_when", "<u4", RING),  # minutes << 3 | sign-up << 2 | metric; 0: empty
        ("ring_at", "<u1"),
        ("crowds", "<u1"),  # condemned crowds
        ("condemned", "<f4"),  # sum of their shares, decayed
        ("condemned_s", "<u4"),
        ("last_case", "<u4"),
        ("kind", "<i1"),
        ("previous", "<i1"),
        ("score", "<u1"),
        ("reversal", "<u1"),
        ("since_s", "<u4"),
        ("until_s", "<u4"),
        ("replay_gap", "<u2"),  # in GAP_UNIT_MS, since the view before, if the last act was a replay of the same target
        ("replays", "<u2"),  # of the present row of views of one target, those that no player on repeat makes
        ("timed_replays", "<u2"),  # of these the timed ones, see acts/replays.py
        ("stock", "<u2"),  # number of the stock it was found with; 0: none
    ]
)

MAX_MS = 0xFFFF_FFFF * 1000
"""Later times are cut to this (year 2106): rows store seconds in 32 bits."""

_WHOLE = np.dtype((np.void, ROW.itemsize))
"""A row without its fields: NumPy copies it in one piece instead of field by field (ten times as fast)."""


def rows_at(rows: Rows, places: Any) -> Rows:
    """Copies of the rows at some places, which may be a mask."""
    copied: Rows = rows.view(_WHOLE)[places].view(ROW)
    return copied


def put_rows(rows: Rows, places: Any, values: Rows) -> None:
    """Write rows to some places, which may be a mask or a slice."""
    rows.view(_WHOLE)[places] = values.view(_WHOLE)


def blank(actors: NDArray[np.int64]) -> Rows:
    """Rows of accounts of which nothing is known."""
    rows = np.zeros(len(actors), ROW)
    rows["actor"] = actors
    rows["last_share"] = NO_SHARE
    rows["kind"] = rows["previous"] = NO_KIND
    return rows


def add_saturating(rows: Rows, field: str, amount: Any) -> None:
    """Add non-negative integers to an unsigned column, up to its largest value.

    The sum of several additions does not depend on how they are grouped.
    """
    column = rows[field]
    limit = np.iinfo(column.dtype).max
    rows[field] = np.minimum(column.astype(np.int64) + amount, limit)
