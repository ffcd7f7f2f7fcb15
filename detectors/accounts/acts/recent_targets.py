"""The latest distinct targets of an account, first in, first out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.accounts.storage.columns import NO_OWNER, RING, Rows
from detectors.windows.scales import MINUTE_MS

if TYPE_CHECKING:
    from detectors.accounts.acts.updates import Sorted

SIGN_UP_MS = 60_000
"""An act within this time of the account's creation may be part of the sign-up, as suggested channels are."""
SIGN_UP = 4
"""The bit of ``ring_when`` that says so."""
WHEN_BITS = 3
"""Bits of ``ring_when`` below the minutes: sign-up and metric."""
TOGETHER = 16
"""Accounts from which arrays are faster than a loop (measured)."""


class RecentTarget(NamedTuple):
    """The first of an account's latest acts on a target."""

    target: int
    """lowest 32 bits of the hash"""
    owner: int
    """NO_OWNER if not known"""
    at_ms: int
    """whole minutes"""
    metric: int
    sign_up: bool


def note_targets(rows: Rows, events: Sorted) -> None:
    """Add the targets of events to the rings of their accounts."""
    target = events.target & NO_OWNER
    same = np.append(False, (target[1:] == target[:-1]) & ~events.undo[:-1]) & ~events.first
    places = np.flatnonzero(~events.undo & ~same)  # another act on the target of the act before changes nothing
    if not len(places):
        return
    account = events.account[places]
    begins = np.append(True, account[1:] != account[:-1])
    rank = np.arange(len(places)) - np.flatnonzero(begins)[np.cumsum(begins) - 1]
    sign_up = (events.created >= 0) & (np.abs(events.ts - events.created) < SIGN_UP_MS)
    when = events.ts // MINUTE_MS << WHEN_BITS | np.where(sign_up, SIGN_UP, 0) | events.metric
    owner = np.where(events.owner < 0, NO_OWNER, events.owner)
    order = np.argsort(rank, kind="stable")
    places, account = places[order], account[order]
    sizes = np.bincount(rank)
    done = 0
    for size in sizes.tolist():
        if size < TOGETHER:
            break
        at = places[done : done + size]
        _add(rows, account[done : done + size], target[at], owner[at], when[at])
        done += size
    if done < len(places):
        rest = np.sort(places[done:])  # sorted by account, in log order within each
        _add_singly(rows, events.account[rest], target[rest], owner[rest], when[rest])


def _add(
    rows: Rows, account: NDArray[np.intp], target: NDArray[np.int64], owner: NDArray[np.int64], when: NDArray[np.int64]
) -> None:
    """Add one target to each of some different accounts."""
    used = rows["ring_when"][account] > 0
    new = ~((rows["ring_target"][account] == target[:, None]) & used).any(axis=1)
    account = account[new]
    slot = rows["ring_at"][account].astype(np.intp)
    rows["ring_target"][account, slot] = target[new]
    rows["ring_owner"][account, slot] = owner[new]
    rows["ring_when"][account, slot] = when[new]
    rows["ring_at"][account] = (slot + 1) % RING


def _add_singly(
    rows: Rows, account: NDArray[np.intp], target: NDArray[np.int64], owner: NDArray[np.int64], when: NDArray[np.int64]
) -> None:
    """As ``_add`` for any number of targets of an account, in log order."""
    numbers, starts = np.unique(account, return_index=True)
    ends = [*starts[1:].tolist(), len(account)]
    for row, begin, end in zip(numbers.tolist(), starts.tolist(), ends, strict=True):
        targets, owners, whens = (rows[f"ring_{name}"][row].tolist() for name in ("target", "owner", "when"))
        at = int(rows["ring_at"][row])
        known = {each for each, used in zip(targets, whens, strict=True) if used}
        for place in range(begin, end):
            hashed = int(target[place])
            if hashed in known:
                continue
            if whens[at]:
                known.discard(targets[at])
            targets[at], owners[at], whens[at] = hashed, int(owner[place]), int(when[place])
            known.add(hashed)
            at = (at + 1) % RING
        rows["ring_target"][row], rows["ring_owner"][row], rows["ring_when"][row] = targets, owners, whens
        rows["ring_at"][row] = at


def recent_targets(row: np.void) -> list[RecentTarget]:
    """The targets of one account, the latest first."""
    at = int(row["ring_at"])
    found = []
    for back in range(1, RING + 1):
        slot = (at - back) % RING
        when = int(row["ring_when"][slot])
        if when:
            minutes, sign_up, metric = when >> WHEN_BITS, bool(when & SIGN_UP), when & 3
            target, owner = int(row["ring_target"][slot]), int(row["ring_owner"][slot])
            found.append(RecentTarget(target, owner, minutes * MINUTE_MS, metric, sign_up))
    return found
