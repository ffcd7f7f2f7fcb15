"""The open windows of a partition, and when they end."""

from __future__ import annotations

import heapq

from detectors.events.key import NO_KEY, Key
from detectors.state.target_state import TargetState
from detectors.state.target_states import TargetStates
from detectors.windows.crowd import Crowd
from detectors.windows.scales import MINUTES, Scale

Due = tuple[int, int, int, Key]
"""Work that is due: the moment of event time, the order among works of one moment, a window's start and a key."""

MINUTES_ORDER = 1
"""Position of this scale among all."""


class OpenWindows:
    """Opens windows of targets and schedules their ends in ``due``, a heap."""

    def __init__(self, target_states: TargetStates, scales: tuple[Scale, ...], due: list[Due]) -> None:
        self._target_states = target_states
        self._scales = scales
        self._due = due

    def minutes(self, key: Key, state: TargetState, start: int, log: tuple[int, int]) -> Crowd:
        """The open five-minute window of a tick's events, its range of log positions extended by ``log``."""
        log_from, log_to = log
        window = state.open.get(MINUTES)
        if window is None:
            start = self._scales[MINUTES_ORDER].start(start)
            window = state.open[MINUTES] = Crowd(start=start, log_from=log_from, log_to=log_to)
            self.wait(MINUTES_ORDER, start, key)
            return window
        if log_from < window.log_from or window.log_from < 0:
            window.log_from = log_from
        if log_to > window.log_to:  # noqa: PLR1730  # max() takes longer, and this is done for each target of a tick
            window.log_to = log_to
        return window

    def merge(self, order: int, start: int, key: Key, state: TargetState, crowd: Crowd) -> Crowd:
        """Merge a closed window into the longer one. If there is none yet, the shorter becomes the longer one."""
        window = state.open.get(self._scales[order].name)
        if window is not None:
            window.merge(crowd)
            return window
        crowd.start, crowd.judge_from, crowd.expected_cased = self._scales[order].start(start), 0, False
        state.open[self._scales[order].name] = crowd
        self.wait(order, crowd.start, key)
        return crowd

    def wait(self, order: int, start: int, key: Key) -> None:
        """Schedule the end of a key's window of this scale."""
        if self._target_states.wait(order, start, key):
            heapq.heappush(self._due, (start + self._scales[order].span_ms, order, start, NO_KEY))
