"""Adds events to the columns of their accounts.

Every column is a sum of integers, a set of bits, a latest value or a largest value. So the result does not depend on
how the log is cut into blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.accounts.acts.recent_targets import note_targets
from detectors.accounts.block import OWNER_MASK, ActorBlock
from detectors.accounts.storage.bits import united
from detectors.accounts.storage.columns import (
    ACCOUNT,
    ACTIVE,
    GAP_EDGES_MS,
    MAX_MS,
    NO_OWNER,
    NO_SHARE,
    RETURNED,
    ROBOT,
    SHARE_ONE,
    Rows,
    add_saturating,
)
from detectors.events.event import METRICS
from detectors.events.key import VIEW
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS

WATCH_MAX_MS = 6 * HOUR_MS
"""Watch times are cut to this: nearly all videos are shorter, and a player that was left open is no watching."""
PAUSE_MS = 3 * HOUR_MS
"""Shortest pause that ends a run of activity: shorter than a person's sleep, longer than a film."""
ABSENCE_MS = 30 * DAY_MS
"""Shortest absence after which an account counts as returned."""
GAP_MS = (5_000, 6 * HOUR_MS)
"""Gaps that are compared with each other. Shorter ones are equal by chance where times are whole seconds."""
EVEN_PART, EVEN_MS = 16, 500
"""Two gaps are even if they differ by at most a sixteenth and half a second: a program with random waits of a few per
cent, measured in whole seconds, passes; of gaps that people leave, about one in fifteen does."""
TO_THE_END = round(0.95 * SHARE_ONE)
"""Share of the duration from which a view counts as played to its end."""
CONTINUES_MS = 10_000
"""Longest pause before the next video, if the player started it by itself: players count down from five to ten."""
SHARE_BAND = round(0.02 * SHARE_ONE)
"""Two watch shares or watch times within two per cent are the same."""
SHARE_LEAST = round(0.05 * SHARE_ONE)
"""Shares below this are all near 0: watch times are compared instead."""
LEFT_AT_ONCE_MS = 10_000
"""Views that were left earlier, and at a share near 0, are not compared: everybody skips within seconds. Thirty-one
seconds of an hour, time after time, are no skip."""
VIEWED_BITS, TARGET_BITS, NETWORK_BITS = 128, 64, 32
WEEK_HOURS, MONDAY_HOURS = 168, 72
"""1 January 1970 was a Thursday: 72 hours after Monday."""
SPREAD = 43
"""Bits of a time in ms, so that numbers of accounts above them keep the times of accounts apart."""
SHIFT = 33
"""Targets and owners are hashed to bits by other bits of their hash than partitions are."""

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(slots=True)
class Sorted:
    """The events of a block, sorted by account, in log order within each. One segment for each account."""

    starts: NDArray[np.intp]
    first: Flags
    """whether an event is the first of its account in the block"""
    account: NDArray[np.intp]
    """place of the event's account among the rows"""
    ts: Ints
    metric: Ints
    target: Ints
    owner: Ints
    network: Ints
    created: Ints
    watch: Ints
    share: Ints
    """of the duration, in parts of SHARE_ONE; NO_SHARE if it is not known"""
    undo: Flags
    robot: Flags
    given: Flags

    def previous(self, column: NDArray[Any], before: NDArray[Any]) -> NDArray[Any]:
        """The value of the account's event before; ``before`` has that of the last event before the block."""
        shifted = np.empty(len(column), column.dtype)
        shifted[1:] = column[:-1]
        shifted[self.starts] = before
        return shifted

    def sums(self, values: NDArray[Any]) -> Ints:
        """The sum of each account's values."""
        return np.add.reduceat(values.astype(np.int64), self.starts)

    def last(self, column: NDArray[Any]) -> NDArray[Any]:
        """Each account's last value."""
        return column[self._ends() - 1]

    def highest_before(self, column: Ints, before: Any) -> tuple[Ints, Ints]:
        """The largest value of the account before each event and before the block, and each account's largest one."""
        lifted = column.copy()
        lifted[self.starts] = np.maximum(lifted[self.starts], before)
        level = self.account.astype(np.int64) << SPREAD
        highest = np.maximum.accumulate(lifted + level) - level
        return self.previous(highest, before), self.last(highest)

    def _ends(self) -> NDArray[np.intp]:
        return np.append(self.starts[1:], len(self.ts))


def numbered(places: NDArray[np.intp], rows: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The different rows of events in ascending order, and for each event the place of its row among them."""
    used = np.zeros(rows, np.bool_)
    used[places] = True
    different = np.flatnonzero(used)
    number = np.empty(rows, np.intp)
    number[different] = np.arange(len(different))
    return different, number[places]


def sort_by_account(block: ActorBlock, account: NDArray[np.intp], accounts: int) -> tuple[Sorted, NDArray[np.intp]]:
    """The events of a block sorted by account, and their places in the block. Each account has at least one event."""
    order = np.argsort(account.astype(np.uint16) if accounts < 1 << 16 else account, kind="stable")
    account = account[order]
    first = np.append(True, account[1:] != account[:-1])
    events = len(order)

    def column(values: NDArray[Any] | None, missing: int) -> Ints:
        return np.full(events, missing, np.int64) if values is None else values[order].astype(np.int64)

    def flags(values: NDArray[np.bool_] | None) -> Flags:
        return np.zeros(events, np.bool_) if values is None else values[order]

    watch, duration = column(block.watch_ms, -1), column(block.duration_ms, -1)
    metric = column(block.metric, 0)
    metric = np.where((metric < 0) | (metric >= len(METRICS)), 0, metric)
    watched = (metric == VIEW) & (watch >= 0)
    watch = np.where(watched, np.minimum(watch, WATCH_MAX_MS), 0)
    known = watched & (duration > 0)
    share = np.minimum(watch * SHARE_ONE // np.maximum(duration, 1), SHARE_ONE)
    ordered = Sorted(
        starts=np.flatnonzero(first),
        first=first,
        account=account,
        ts=np.clip(column(block.ts, 0), 1, MAX_MS),
        metric=metric,
        target=column(block.target, 0),
        owner=column(block.owner, -1),
        network=column(block.network, -1),
        created=column(block.created, -1),
        watch=watch,
        share=np.where(known, share, NO_SHARE),
        undo=flags(block.undo),
        robot=flags(block.robot),
        given=flags(block.account),
    )
    return ordered, order


def update(rows: Rows, events: Sorted) -> None:
    """Add events to the rows of their accounts, in place. A row's ``last_ms`` is 0 before its first event."""
    new = rows["last_ms"] == 0
    rows["first_s"] = np.where(new, events.ts[events.starts] // 1000, rows["first_s"])
    before, latest = events.highest_before(events.ts, rows["last_ms"])
    gaps = _gaps(events, before)
    _count(rows, events)
    _note_names(rows, events)
    note_targets(rows, events)
    _compare(rows, events, gaps)
    _note_times(rows, events, before, gaps)
    rows["last_ms"] = latest
    rows["last_watch"], rows["last_share"] = events.last(events.watch), events.last(events.share)
    rows["last_target"] = events.last(events.target & NO_OWNER)


def _gaps(events: Sorted, before: Ints) -> Ints:
    """Time since the account's latest event before, in ms, from 1 up; 0 if there is none."""
    return np.where(before == 0, 0, np.clip(events.ts - before, 1, 0xFFFF_FFFF))


def _count(rows: Rows, events: Sorted) -> None:
    acts = rows["acts"].astype(np.int64)
    for metric in range(len(METRICS)):
        acts[:, metric] += events.sums((events.metric == metric) & ~events.undo)
    rows["acts"] = np.minimum(acts, 0xFFFF_FFFF)
    add_saturating(rows, "undos", events.sums(events.undo))
    add_saturating(rows, "recent", events.sums(np.ones(len(events.ts), np.bool_)))
    add_saturating(rows, "unwatched", events.sums((events.metric == VIEW) & (events.watch == 0) & ~events.undo))
    flags = rows["flags"] | ACTIVE
    flags |= np.where(np.logical_or.reduceat(events.given, events.starts), ACCOUNT, 0).astype(np.uint16)
    flags |= np.where(np.logical_or.reduceat(events.robot, events.starts), ROBOT, 0).astype(np.uint16)
    rows["flags"] = flags
    place = np.where(events.created >= 0, np.arange(len(events.ts)), len(events.ts))
    first = np.minimum.reduceat(place, events.starts)
    given = np.append(events.created, 0)[first]
    seconds = np.clip(given // 1000, 1, 0xFFFF_FFFF)
    known = (rows["created_s"] > 0) | (first == len(events.ts))
    rows["created_s"] = np.where(known, rows["created_s"], seconds)


def _note_names(rows: Rows, events: Sorted) -> None:
    """Distinct targets, owners that were viewed, and networks, as bits."""
    starts, act = events.starts, ~events.undo
    targets = np.where(act, (events.target >> SHIFT) % TARGET_BITS, -1)
    (bits,) = united(targets, starts, 1)
    rows["targets"] |= bits
    (bits,) = united(np.where(events.network < 0, -1, events.network % NETWORK_BITS), starts, 1)
    rows["networks"] |= bits.astype(np.uint32)
    for word, bits in enumerate(united(viewed_bits(events), starts, VIEWED_BITS // 64)):
        rows["viewed"][:, word] |= bits


def viewed_bits(events: Sorted) -> Ints:
    """For each view the bit of its owner, or of its target if the owner is not known; -1 for other acts."""
    owner = np.where(events.owner < 0, events.target & OWNER_MASK, events.owner)
    return np.where((events.metric == VIEW) & ~events.undo, owner % VIEWED_BITS, -1)


def _compare(rows: Rows, events: Sorted, gaps: Ints) -> None:
    """Compare each gap and each watch share with those before it."""
    watch, share = (
        events.previous(getattr(events, name), rows[f"last_{name}"].astype(np.int64)) for name in ("watch", "share")
    )
    same_target = (
        events.previous(events.target & NO_OWNER, rows["last_target"].astype(np.int64)) == events.target & NO_OWNER
    )
    idle = np.where(same_target | (watch == 0) | (gaps <= watch), gaps, gaps - watch)
    before = events.previous(idle, rows["idle_ms"].astype(np.int64))
    played_on = (watch > 0) & (share >= TO_THE_END) & (np.abs(gaps - watch) <= CONTINUES_MS + watch // EVEN_PART)
    low, high = GAP_MS
    compared = (gaps >= low) & (gaps <= high) & (before > 0) & ~played_on
    even = compared & (np.abs(idle - before) <= np.maximum(idle, before) // EVEN_PART + EVEN_MS)
    add_saturating(rows, "compared", events.sums(compared))
    add_saturating(rows, "even", events.sums(even))
    rows["idle_ms"] = events.last(idle)
    known = (events.share != NO_SHARE) & (share != NO_SHARE)
    near_zero = np.minimum(events.share, share) < SHARE_LEAST
    usual = (events.share >= TO_THE_END) & (share >= TO_THE_END)
    usual |= near_zero & (np.minimum(events.watch, watch) < LEFT_AT_ONCE_MS)
    counted = known & ~usual
    longer = np.maximum(events.watch, watch)
    same = (~near_zero & (np.abs(events.share - share) <= SHARE_BAND)) | (
        np.abs(events.watch - watch) * SHARE_ONE <= longer * SHARE_BAND
    )
    add_saturating(rows, "shares", events.sums(counted))
    add_saturating(rows, "same_shares", events.sums(counted & same))


def _note_times(rows: Rows, events: Sorted, before: Ints, gaps: Ints) -> None:
    starts, ts = events.starts, events.ts
    binned = np.searchsorted(GAP_EDGES_MS, gaps, side="right")
    cells = np.bincount(events.account[gaps > 0] * 8 + binned[gaps > 0], minlength=8 * len(rows)).reshape(-1, 8)
    rows["gaps"] = np.minimum(rows["gaps"] + cells, 0xFF)
    hours = united((ts // HOUR_MS + MONDAY_HOURS) % WEEK_HOURS, starts, 3)
    for word, bits in enumerate(hours):
        rows["hours"][:, word] |= bits
    ends = np.where(events.watch > 0, (ts + events.watch) // 1000, 0)
    playing, busy = events.highest_before(ends, rows["busy_s"].astype(np.int64))
    playing *= 1000
    _note_overlap(rows, events, before, playing)
    rows["busy_s"] = np.minimum(busy, 0xFFFF_FFFF)
    pause = (before == 0) | (ts - np.maximum(before, playing) >= PAUSE_MS)
    at = np.maximum.reduceat(np.where(pause, np.arange(len(ts)), -1), starts)
    rows["run_s"] = np.where(at < 0, rows["run_s"], ts[at] // 1000)
    rows["flags"] |= np.where(np.maximum.reduceat(gaps, starts) >= ABSENCE_MS, RETURNED, 0).astype(np.uint16)
    add_saturating(rows, "days", events.sums((before == 0) | (ts // DAY_MS > before // DAY_MS)))
    _note_minutes(rows, events)


def _note_overlap(rows: Rows, events: Sorted, before: Ints, playing: Ints) -> None:
    """Watch time during which another video was playing.

    Platforms emit a view when it begins or when it ends. The smaller overlap of both readings counts.
    """
    ts, watch = events.ts, events.watch
    if_begun = np.clip(playing - ts, 0, watch)
    if_ended = np.clip(before - (ts - watch), 0, watch)
    add_saturating(rows, "watched_ms", events.sums(watch))
    add_saturating(rows, "overlap_ms", events.sums(np.minimum(if_begun, if_ended)))


def _note_minutes(rows: Rows, events: Sorted) -> None:
    """The largest number of acts within a minute. Acts of a minute are counted while no other minute comes between."""
    minute, known = events.ts // MINUTE_MS, rows["minute"].astype(np.int64)
    begins = events.first | (minute != events.previous(minute, known))
    lengths = np.diff(np.append(np.flatnonzero(begins), len(minute)))
    run = np.cumsum(begins)[events.starts] - 1
    lengths[run] += np.where(minute[events.starts] == known, rows["minute_acts"], 0)
    peaks = np.maximum.reduceat(lengths, run)
    rows["minute_peak"] = np.minimum(np.maximum(peaks, rows["minute_peak"]), 0xFFFF)
    last = np.append(run[1:], len(lengths)) - 1
    rows["minute"], rows["minute_acts"] = events.last(minute), np.minimum(lengths[last], 0xFFFF)
