"""Judges open windows before their end: those furthest above their usual count, within a budget per event.

Ticks detect a burst. A slower surge would only be judged at the end of five minutes or of an hour. So a window that
has grown far above its usual count is judged while it is open. If the whole platform surges (an outage's backlog, a
hundredfold rate), every window qualifies, and judging them all would delay everything else. Then only the furthest
above usual are judged now, and the others one tick later or at their end.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from detectors.catalog.registry import SURGE
from detectors.events.key import Key, metric_of
from detectors.failures import UNCONTAINED
from detectors.features import names as f
from detectors.measurement.expectation import usual_mean
from detectors.measurement.measuring import measure_all
from detectors.measurement.open_hour import merge_open_windows, split_result
from detectors.measurement.window_view import WindowView
from detectors.measurement.window_views import WindowViews
from detectors.records import Outcome
from detectors.state.level import YOUNG_WINDOWS, Level
from detectors.state.target_state import TargetState
from detectors.state.target_states import TargetStates
from detectors.thresholds import SURGE_LEAST
from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY, HOUR, MINUTES, TICK

GROWTH = 1.4
"""Growth since the last judging after which an open window is judged again: a handful of times per window.

If the count was no surge, the window is judged again as soon as it is one. Otherwise a burst that ends before it has
grown so much would be found at the end of the window only. Its crowd was not measured yet, so it is tested no more
often than that of a surge that was found at once."""

FACTOR = 1.5
"""Least ratio of an open window's events to the usual events of a whole window."""

EVENTS_PER_EARLY_JUDGING = 500
"""Audited events per early judging. One judging takes about 0.5 ms, so early judgings cost 1 µs per event."""

TOGETHER = 64
"""Most windows measured together."""

EARLY_JUDGINGS_MIN = 64
"""Early judgings allowed at each tick, however few events arrived."""

MINUTES_ORDER, HOUR_ORDER = 1, 2
"""Positions of these scales in ``WindowViews.scales``."""
SCALE_NAMES = (TICK, MINUTES, HOUR, DAY)
"""The names of all scales, by position."""


def grown(count: int) -> int:
    """Events from which a window that was judged with ``count`` events is judged again.

    >>> grown(5), grown(316)
    (7, 443)
    """
    return math.ceil(GROWTH * count)


@dataclass(frozen=True, slots=True)
class EarlyContext:
    """What early judging uses of its audit."""

    target_states: TargetStates
    views: WindowViews
    judge: OpenJudge
    unjudged: Callable[[Key, int, Exception, Outcome], None]
    """called with a key and the position of the scale if judging its window failed"""


class OpenJudge(Protocol):
    """Judges open windows. The audit implements it."""

    def prepare(self, window: WindowView, actors: Set[int]) -> bool:
        """Expect a window's count, find the band among its ``actors``, and score its surge.

        Returns whether the window must be measured.
        """
        ...

    def decide(self, window: WindowView, *, judged: bool) -> None:
        """Decide on a window, which has been measured if ``judged``. If that fails, restore what it has changed."""
        ...


@dataclass(slots=True)
class _Opened:
    """An open window under judgement."""

    window: WindowView
    counts_order: int
    counts_start: int
    """position of the scale, and start of the time, whose counts of the other metrics are compared"""
    hour: Crowd | None = None
    minutes: Crowd | None = None
    """what the window consists of, if these are two"""
    measured: bool = False
    alone: bool = False
    """whether it must be measured again by itself"""


class EarlyWindows:
    """The open windows to be judged early, collected until all events of one tick have been entered."""

    def __init__(self, context: EarlyContext) -> None:
        self._context = context
        self._candidates: list[tuple[float, int, Key]] = []
        """minus the ratio of the count to the usual count (a heap takes the least), position of the scale, key"""

    def entered(self, key: Key, state: TargetState, minutes: Crowd) -> None:
        """Consider a key's open five minutes after events were entered, and its open hour together with them."""
        count = minutes.n
        # Most keys end here: they have few events, or were judged and have not grown since.
        if count >= f.FEW_MIN and count >= minutes.judge_from:
            level = state.levels.get(MINUTES)
            if level is None or count > FACTOR * level.mean:
                self._consider(MINUTES_ORDER, key, state, level, count)
        hour = state.open.get(HOUR)
        if hour is not None:
            count += hour.n
            if count >= f.FEW_MIN and count >= hour.judge_from:
                level = state.levels.get(HOUR)
                if level is None or count > FACTOR * level.mean:
                    self._consider(HOUR_ORDER, key, state, level, count)

    def merged(self, order: int, key: Key, state: TargetState, crowd: Crowd) -> None:
        """Consider a longer window after a closed shorter one was merged into it."""
        count = crowd.n
        if count >= f.FEW_MIN and count >= crowd.judge_from:
            level = state.levels.get(SCALE_NAMES[order])
            if level is None or count > FACTOR * level.mean:
                self._consider(order, key, state, level, count)

    def _consider(self, order: int, key: Key, state: TargetState, level: Level | None, count: int) -> None:
        """Add a window of ``count`` events, which is more than FACTOR times its level, if that is far above usual."""
        name, views, metric = SCALE_NAMES[order], self._context.views, metric_of(key)
        platform = views.platforms[metric]
        young = level is None or level.windows < YOUNG_WINDOWS
        if young and count <= FACTOR * platform.typical.get(name, 1.0):  # the usual count is at least that
            return
        usual = usual_mean(state, name, platform)
        if count > FACTOR * usual and views.other_metrics.reference(metric).experienced():
            self._candidates.append((-count / (1.0 + usual), order, key))

    def take(self, now_ms: int, events: int, outcome: Outcome) -> Iterator[None]:
        """Judge the candidates furthest above usual, within the budget that ``events`` allow, with pauses.

        Windows of one metric and scale are measured together, the shorter scales first.
        """
        candidates, self._candidates = self._candidates, []
        budget = max(EARLY_JUDGINGS_MIN, events // EVENTS_PER_EARLY_JUDGING)
        outcome.put_off += max(0, len(candidates) - budget)
        tables: dict[tuple[int, int], list[Key]] = {}
        for _, order, key in heapq.nsmallest(budget, candidates):
            tables.setdefault((order, metric_of(key)), []).append(key)
        for (order, _), keys in sorted(tables.items()):
            for at in range(0, len(keys), TOGETHER):
                yield from self._judge(order, keys[at : at + TOGETHER], now_ms, outcome)

    def _judge(self, order: int, keys: list[Key], now_ms: int, outcome: Outcome) -> Iterator[None]:
        """Judge open windows of one metric and scale. If measuring fails, each is measured alone."""
        surging: list[_Opened] = []
        for key, state in zip(keys, self._context.target_states.change_many(keys), strict=True):
            with self._contained(key, order, outcome):
                opened = self._opened(order, key, state, now_ms, outcome)
                if self._prepared(opened):
                    surging.append(opened)
            yield
        measured = [opened for opened in surging if opened.measured]
        try:
            measure_all([opened.window for opened in measured])
        except UNCONTAINED:
            raise
        except Exception:  # noqa: BLE001  # which of them fails is found out below
            for opened in measured:
                opened.alone = True
        for opened in surging:
            with self._contained(opened.window.key, order, outcome):
                self._decide(opened)
            yield

    def _decide(self, opened: _Opened) -> None:
        if opened.alone:
            measure_all([opened.window])
        self._context.judge.decide(opened.window, judged=opened.measured)
        if opened.hour is not None and opened.minutes is not None:
            split_result(opened.window.crowd, opened.hour, opened.minutes)

    @contextmanager
    def _contained(self, key: Key, order: int, outcome: Outcome) -> Iterator[None]:
        try:
            yield
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # any failure is limited to this window
            self._context.unjudged(key, order, error, outcome)

    def _opened(self, order: int, key: Key, state: TargetState, now_ms: int, outcome: Outcome) -> _Opened:
        """A window, or an open hour together with its open five minutes: for surges too slow for five minutes."""
        crowd, minutes = state.open[SCALE_NAMES[order]], state.open.get(MINUTES)
        if order != HOUR_ORDER or minutes is None:
            return _Opened(self._view(order, key, state, crowd, at=(now_ms, outcome)), order, crowd.start)
        # Most hours turn out not to surge, so the crowds are merged only afterwards.
        counts = Crowd(start=crowd.start, n=crowd.n + minutes.n, nobody=crowd.nobody + minutes.nobody)
        window = self._view(order, key, state, counts, at=(now_ms, outcome))
        return _Opened(window, MINUTES_ORDER, minutes.start, crowd, minutes)

    def _prepared(self, opened: _Opened) -> bool:
        """Expect a window's count and score its surge. Returns whether there is something to decide."""
        window, hour, minutes = opened.window, opened.hour, opened.minutes
        actors = window.crowd.actor_hashes() if window.scale.name == MINUTES else frozenset[int]()
        opened.measured = self._context.judge.prepare(window, actors)
        (window.crowd if hour is None else hour).judge_from = _judge_from(window, measured=opened.measured)
        if not opened.measured and window.target_state.case is None and f.BAND not in window.x:
            return False
        if hour is not None and minutes is not None:
            known = window.platform.known, window.reference.known
            window.crowd = merge_open_windows(hour, minutes, known[: 1 + (known[0] is not known[1])])
        if opened.measured:
            self._surround(window, opened.counts_order, opened.counts_start)
        return True

    def _surround(self, window: WindowView, order: int, start: int) -> None:
        other, key, crowd = self._context.views.other_metrics, window.key, window.crowd
        window.other_counts = other.counts(key, order, start, {})
        window.viewer_events = other.viewers(key, crowd).possible

    def _view(self, order: int, key: Key, state: TargetState, crowd: Crowd, *, at: tuple[int, Outcome]) -> WindowView:
        views, (now_ms, outcome) = self._context.views, at
        window = views.view(order, crowd.start, (key, state, crowd), outcome, early_at_ms=now_ms)
        since = views.other_metrics.windows_since_first_view(key, window.scale, crowd.start)
        window.windows_since_first_view = since
        return window


def _judge_from(window: WindowView, *, measured: bool) -> int:
    """Events from which an open window is judged again. If it was not ``measured``, as many as make it a surge."""
    count = window.crowd.n
    most = grown(count)
    if measured:
        return most
    surge, x = window.platform.detectors_of(window.scale)[SURGE], window.x

    def surges(events: int) -> bool:
        return surge.score_one({**x, f.COUNT: float(events)}) >= SURGE_LEAST

    # Most are no surge when they have grown so much either.
    return count + 1 + bisect_left(range(count + 1, most), True, key=surges) if surges(most) else most
