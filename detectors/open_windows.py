"""The windows of a partition that are open, and when they end."""

from __future__ import annotations

import heapq

from detectors.events.key import NO_KEY, Key
from detectors.state.target_state import TargetState
from detectors.state.target_states import TargetStates
from detectors.windows.crowd import Crowd
from detectors.windows.scales import MINUTES, Scale

Due = tuple[int, int, int, Key]
"""What is to be done at a moment of event time: the moment, its order among those of one moment, the start of a window
and a key."""


class OpenWindows:
    """Opens windows of targets, and lets each wait for its end in ``due``, a heap."""

    def __init__(self, watches: TargetStates, scales: tuple[Scale, ...], due: list[Due]) -> None:
        self._watches = watches
        self._scales = scales
        self._due = due

    def minutes(self, key: Key, watched: TargetState, start: int, log: tuple[int, int]) -> Crowd:
        """The open five minutes that a tick's events go into, with where they stood in the log."""
        log_from, log_to = log
        into = watched.open.get(MINUTES)
        if into is None:
            into = self._opened(1, start, key, watched)
            into.log_from = log_from
        elif log_from < into.log_from or into.log_from < 0:
            into.log_from = log_from
        into.log_to = max(into.log_to, log_to)
        return into

    def _opened(self, order: int, ts_ms: int, key: Key, watched: TargetState) -> Crowd:
        scale = self._scales[order]
        start = scale.start(ts_ms)
        crowd = watched.open[scale.name] = Crowd(start=start)
        self.wait(order, start, key)
        return crowd

    def merge(self, order: int, start: int, key: Key, watched: TargetState, crowd: Crowd) -> Crowd:
        """Let a longer window take in a shorter one that has closed; its first becomes the window itself."""
        into = watched.open.get(self._scales[order].name)
        if into is not None:
            into.merge(crowd)
            return into
        crowd.start, crowd.looked, crowd.told = self._scales[order].start(start), 0, False
        watched.open[self._scales[order].name] = crowd
        self.wait(order, crowd.start, key)
        return crowd

    def wait(self, order: int, start: int, key: Key) -> None:
        """Let a key wait for the end of its window of this scale."""
        if self._watches.wait(order, start, key):
            heapq.heappush(self._due, (start + self._scales[order].span_ms, order, start, NO_KEY))
