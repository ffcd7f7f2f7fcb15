"""Judges open windows before their end: those furthest above their usual count, within a budget per event.

Ticks detect a burst. A slower surge would only be judged at the end of five minutes or of an hour. So a window that
has grown far above its usual count is judged while it is open. If the whole platform surges (an outage's backlog, a
hundredfold rate), every window qualifies, and judging them all would delay everything else. Then only the furthest
above usual are judged now, and the others one tick later or at their end.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from functools import partial

from detectors.actors.rulings import Rulings
from detectors.events.key import Key, metric_of
from detectors.failures import UNCONTAINED
from detectors.features import names as f
from detectors.measurement.expectation import usual_count
from detectors.measurement.open_hour import merge_open_windows, split_result
from detectors.measurement.other_metrics import OtherMetrics
from detectors.measurement.window_view import WindowView
from detectors.platform.platform import Platform
from detectors.records import Outcome
from detectors.state.level import YOUNG_WINDOWS
from detectors.state.target_state import TargetState
from detectors.state.target_states import TargetStates
from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY, HOUR, MINUTES, TICK, Scale

GROWTH = 1.4
"""Growth since the last judging after which an open window is judged again: a handful of times per window."""

FACTOR = 1.5
"""Least ratio of an open window's events to the usual events of a whole window."""

EVENTS_PER_EARLY_JUDGING = 500
"""Audited events per early judging. One judging takes about 0.5 ms, so early judgings cost 1 µs per event."""

EARLY_JUDGINGS_MIN = 64
"""Early judgings allowed at each tick, however few events arrived."""

MINUTES_ORDER, HOUR_ORDER = 1, 2
"""Positions of these scales in ``EarlyContext.scales``."""
SCALE_NAMES = (TICK, MINUTES, HOUR, DAY)
"""The names of all scales, by position."""


@dataclass(frozen=True, slots=True)
class EarlyContext:
    """What early judging uses of its audit.

    ``judge`` also gets the window's actors, if bands are to be looked up, and a function that sets what the window's
    features need of other windows: most windows are not measured after all.
    """

    target_states: TargetStates
    platforms: list[Platform]
    rulings: Rulings
    other_metrics: OtherMetrics
    scales: tuple[Scale, ...]
    parts: tuple[int, ...]
    judge: Callable[[WindowView, Set[int], Callable[[], None]], None]
    unjudged: Callable[[Key, int, Exception, Outcome], None]
    """called with a key and the position of the scale if judging its window failed"""


class EarlyWindows:
    """The open windows to be judged early, collected until all events of one tick have been entered."""

    def __init__(self, context: EarlyContext) -> None:
        self._context = context
        self._candidates: list[tuple[float, int, Key]] = []
        """minus the ratio of the count to the usual count (a heap takes the least), position of the scale, key"""

    def entered(self, key: Key, state: TargetState) -> None:
        """Consider a key's open five minutes after events were entered, and its open hour together with them."""
        minutes, hour = state.open[MINUTES], state.open.get(HOUR)
        count = minutes.n
        # Most keys end here: they have few events, or were judged and have not grown since.
        if count >= f.FEW_MIN and count >= GROWTH * minutes.events_judged:
            self._consider(MINUTES_ORDER, key, state, count)
        if hour is not None and hour.n + count >= f.FEW_MIN and hour.n + count >= GROWTH * hour.events_judged:
            self._consider(HOUR_ORDER, key, state, hour.n + count)

    def merged(self, order: int, key: Key, state: TargetState, crowd: Crowd) -> None:
        """Consider a longer window after a closed shorter one was merged into it."""
        if crowd.n >= f.FEW_MIN and crowd.n >= GROWTH * crowd.events_judged:
            self._consider(order, key, state, crowd.n)

    def _consider(self, order: int, key: Key, state: TargetState, count: int) -> None:
        """Add a window of ``count`` events if that is far above its usual count."""
        name = SCALE_NAMES[order]
        level = state.levels.get(name)
        if level is not None and count <= FACTOR * level.mean:
            return
        context, metric = self._context, metric_of(key)
        platform = context.platforms[metric]
        young = level is None or level.windows < YOUNG_WINDOWS
        if young and count <= FACTOR * platform.typical.get(name, 1.0):  # the usual count is at least that
            return
        usual, _ = usual_count(state, name, platform)
        if count > FACTOR * usual and context.other_metrics.reference(metric).experienced():
            self._candidates.append((-count / (1.0 + usual), order, key))

    def take(self, now_ms: int, events: int, outcome: Outcome) -> Iterator[None]:
        """Judge the candidates furthest above usual, within the budget that ``events`` allow. Yields after each."""
        candidates, self._candidates = self._candidates, []
        budget = max(EARLY_JUDGINGS_MIN, events // EVENTS_PER_EARLY_JUDGING)
        outcome.put_off += max(0, len(candidates) - budget)
        for _, order, key in heapq.nsmallest(budget, candidates):
            state = self._context.target_states.change(key)
            minutes = state.open.get(MINUTES)
            try:
                if order == HOUR_ORDER and minutes is not None:
                    self._judge_hour(key, state, minutes, (now_ms, outcome))
                else:
                    self._judge_window(order, key, state, (now_ms, outcome))
            except UNCONTAINED:
                raise
            except Exception as error:  # noqa: BLE001  # any failure is limited to this window
                self._context.unjudged(key, order, error, outcome)
            yield

    def _judge_window(self, order: int, key: Key, state: TargetState, at: tuple[int, Outcome]) -> None:
        crowd = state.open[self._context.scales[order].name]
        window = self._view(order, key, state, crowd, at=at)
        actors = crowd.actor_hashes() if order == MINUTES_ORDER else frozenset[int]()
        self._context.judge(window, actors, partial(self._surround, window, order, crowd.start))

    def _judge_hour(self, key: Key, state: TargetState, minutes: Crowd, at: tuple[int, Outcome]) -> None:
        """Judge an open hour together with its open five minutes, for surges too slow for windows of five minutes."""
        metric, hour = metric_of(key), state.open[HOUR]
        known = [self._context.platforms[metric].known, self._context.other_metrics.reference(metric).known]
        both = merge_open_windows(hour, minutes, known)
        window = self._view(HOUR_ORDER, key, state, both, at=at)
        self._context.judge(window, frozenset(), partial(self._surround, window, MINUTES_ORDER, minutes.start))
        split_result(both, hour, minutes)

    def _surround(self, window: WindowView, order: int, start: int) -> None:
        other, key, crowd = self._context.other_metrics, window.key, window.crowd
        window.other_counts = other.counts(key, order, start, {})
        window.viewer_events = other.possible_viewer_events(key, crowd, other.viewer_events(key, crowd))

    def _view(self, order: int, key: Key, state: TargetState, crowd: Crowd, *, at: tuple[int, Outcome]) -> WindowView:
        context, metric = self._context, metric_of(key)
        other = context.other_metrics
        now_ms, outcome = at
        platform, reference = context.platforms[metric], other.reference(metric)
        scale, parts = context.scales[order], context.parts[order]
        window = WindowView(key, state, scale, crowd.start, crowd, platform, reference, outcome, parts=parts)
        window.rates, window.rulings = context.platforms[0].rates, context.rulings
        window.early_at_ms = now_ms
        window.windows_since_first_view = other.windows_since_first_view(key, scale, crowd.start)
        return window
