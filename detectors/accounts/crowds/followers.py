"""New followers of a target in five minutes, and how many of them had not viewed its owner."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.accounts.acts.updates import VIEWED_BITS, Sorted, viewed_bits
from detectors.accounts.block import OWNER_MASK
from detectors.accounts.storage.bits import has_bit
from detectors.accounts.storage.columns import Rows
from detectors.controls import Followed
from detectors.events.event import METRIC_INDEX
from detectors.windows.scales import MINUTES_MS

FOLLOW = METRIC_INDEX["follow"]
COUNTED_MAX = 20_000
"""Targets and windows that are counted at one time; further ones are not."""


class Followers:
    """Counts by window and target: [followers, those who had not viewed its owner]."""

    def __init__(self) -> None:
        self.counts: dict[tuple[int, str], list[int]] = {}
        self.owners_viewed = False
        """whether any view had an owner: without owners, nothing is known"""

    def note(self, rows: Rows, events: Sorted, target_name: list[str], order: NDArray[np.intp]) -> None:
        """Count the follows among events. ``rows`` are the accounts before these events."""
        views = viewed_bits(events)
        self.owners_viewed = self.owners_viewed or bool(((views >= 0) & (events.owner >= 0)).any())
        starts = events.starts
        follows = np.flatnonzero((events.metric == FOLLOW) & ~events.undo)
        for place in follows[np.argsort(order[follows])].tolist():  # in log order
            account, owner = int(events.account[place]), int(events.owner[place])
            bit = (int(events.target[place]) & OWNER_MASK if owner < 0 else owner) % VIEWED_BITS
            earlier = views[int(starts[account]) : place]
            viewed = has_bit(rows["viewed"][account], bit) or bool((earlier == bit).any())
            window = int(events.ts[place]) // MINUTES_MS * MINUTES_MS
            self._count(window, target_name[int(order[place])], viewed=viewed)

    def _count(self, window: int, target: str, *, viewed: bool) -> None:
        counted = self.counts.get((window, target))
        if counted is None:
            if len(self.counts) >= COUNTED_MAX:
                return
            counted = self.counts[window, target] = [0, 0]
        counted[0] += 1
        counted[1] += not viewed

    def take(self, now_ms: int, least: int) -> list[Followed]:
        """Records of the windows that have ended, of targets with at least ``least`` followers, in order."""
        ended = sorted(each for each in self.counts if each[0] + MINUTES_MS <= now_ms)
        found = []
        for window, target in ended:
            followers, unviewed = self.counts.pop((window, target))
            if followers >= least and self.owners_viewed:
                found.append(Followed(now_ms, target, window, window + MINUTES_MS, followers, unviewed))
        return found
