"""Replays of one target that a player does not make by itself.

A player on repeat starts again when the track has ended: the gap between two views is the track's length and a little
more, and never more than one view plays at a time. A program starts by its own clock. A replay is *timed* if its gap is
as long as the gap before, and playback explains neither: the view was left early and at the same point; or nothing
played for longer than the track itself; or three or more views play at once.

Only consecutive acts of an account on one target are compared. In a playlist, another track fills the gap.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.accounts.acts.updates import EVEN_MS, EVEN_PART, Flags, Ints, Sorted
from detectors.accounts.storage.columns import GAP_UNIT_MS, NO_OWNER, NO_SHARE, SHARE_ONE, Rows
from detectors.events.key import VIEW

TIMED_MIN = 10
"""Fewest timed replays in a row of views of one target. Of gaps that people leave, one in fifteen is as long as the
one before."""
TIMED_SHARE = 0.75
"""Least share of timed ones among the replays that are not a player's own."""
GAP_MS = (5_000, 900_000)
"""Gaps that are compared. A target that is opened each quarter of an hour gains fewer than a hundred views a day."""
CONTINUES_MS = 30_000
"""Longest pause before a player on repeat starts again: two advertisements of fifteen seconds."""
LEFT_SHARE, LEFT_MS = round(0.9 * SHARE_ONE), 12_000
"""A view was left early if it lacks a tenth of the duration and more than these ms: players report in steps of up to
ten seconds."""
TABS_MIN = 3
"""Views at once that are no second or third device: two devices of one account are usual."""
RUN_MAX = 0xFFFF


class Timed(NamedTuple):
    """Timed replays among the events of a block, at least TIMED_MIN in a row. Columns."""

    places: NDArray[np.intp]
    """among the sorted events"""
    gaps: Ints
    """time since the view before, in ms"""
    number: Ints
    """timed replays in this row of views, up to this one"""


def note_replays(rows: Rows, events: Sorted) -> Timed:
    """Count the timed replays of each account's present row of views. ``rows`` are the accounts before these events.

    A row of views ends with an act on another target.
    """
    target = events.target & NO_OWNER
    same = events.previous(target, rows["last_target"].astype(np.int64)) == target
    if not same.any():  # so it is in most blocks of a platform where few replay
        rows["replay_gap"] = rows["replays"] = rows["timed_replays"] = 0
        return Timed(np.empty(0, np.intp), np.empty(0, np.int64), np.empty(0, np.int64))
    before, _ = events.highest_before(events.ts, rows["last_ms"])
    viewed = events.previous(events.watch, rows["last_watch"].astype(np.int64))
    again = same & (events.metric == VIEW) & ~events.undo & (events.watch > 0) & (viewed > 0)
    gaps = np.where(again, np.clip(events.ts - before, 1, 0xFFFF_FFFF), 0)
    noted = np.minimum(gaps // GAP_UNIT_MS, np.iinfo(rows["replay_gap"].dtype).max)
    gaps_before = events.previous(noted, rows["replay_gap"].astype(np.int64)) * GAP_UNIT_MS
    compared, unexplained = _unlike_playback(events, viewed, gaps)
    compared &= gaps_before > 0
    even = np.abs(gaps - gaps_before) <= np.maximum(gaps, gaps_before) // EVEN_PART + EVEN_MS
    timed = compared & unexplained & even
    replays = _in_run(events, compared, same, rows["replays"])
    number = _in_run(events, timed, same, rows["timed_replays"])
    rows["replay_gap"], rows["replays"] = events.last(noted), events.last(replays)
    rows["timed_replays"] = events.last(number)
    places = np.flatnonzero(timed & (number >= TIMED_MIN) & (number >= TIMED_SHARE * replays))
    return Timed(places, gaps[places], number[places])


def _unlike_playback(events: Sorted, viewed: Ints, gaps: Ints) -> tuple[Flags, Flags]:
    """Which gaps are not those of a player on repeat, and which of them playback does not explain.

    ``viewed`` are the watch times of the views before. Players that send the time watched so far at even intervals have
    watch times that differ by a gap.
    """
    watch, share = events.watch, events.share
    known = share != NO_SHARE
    duration = np.where(known, watch * SHARE_ONE // np.maximum(share, 1), 0)
    left = known & (share < LEFT_SHARE) & (watch + LEFT_MS < duration)
    longest = np.maximum(np.maximum(watch, viewed), np.where(left, 0, duration))
    low, high = GAP_MS
    plays_on = ~left & (gaps >= longest - longest // EVEN_PART - EVEN_MS)
    plays_on &= gaps <= longest + np.maximum(CONTINUES_MS, longest // EVEN_PART)
    compared = (gaps >= low) & (gaps <= high) & ~plays_on
    apart = np.abs(watch - viewed)
    alike = apart <= np.minimum(np.maximum(watch, viewed) // EVEN_PART + EVEN_MS, gaps // 2)
    idle = ~left & (gaps >= 2 * longest) & (gaps > longest + CONTINUES_MS)
    in_tabs = np.minimum(watch, viewed) >= TABS_MIN * gaps
    return compared, idle | (alike & (left | in_tabs))


def _in_run(events: Sorted, counted: Flags, same: Flags, carried: NDArray[np.uint16]) -> Ints:
    """The number of counted events of each event's row of views so far. ``carried`` has those before the block."""
    total = np.cumsum(counted)
    begins = events.first | ~same
    start = np.maximum.accumulate(np.where(begins, np.arange(len(total)), 0))
    earlier = np.where(same[start], carried.astype(np.int64)[events.account], 0)
    so_far: Ints = np.minimum(total - (total - counted)[start] + earlier, RUN_MAX)
    return so_far
