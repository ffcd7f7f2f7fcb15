"""Looks at windows before their end: those that stand out most, as many as the events that came pay for.

A burst is seen by its ticks. What comes more slowly would have to wait for the end of five minutes, or of an hour;
a window that has grown far beyond all that is usual is judged while it is open. Where a whole platform surges (the
catch-up after an outage, a jump to a hundred times the rate) every window has grown so, and to judge them all would
hold up everything else: then the furthest out are judged, and the others a tick later, or at their end.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass

from detectors.actors.rulings import Rulings
from detectors.events.key import Key, metric_of
from detectors.failures import UNCONTAINED
from detectors.features import names as f
from detectors.measurement.expectation import usual_of
from detectors.measurement.open_hour import divide, together
from detectors.measurement.other_metrics import OtherMetrics
from detectors.measurement.window_view import WindowView
from detectors.platform.platform import Platform
from detectors.records import Outcome
from detectors.state.target_state import TargetState
from detectors.state.target_states import TargetStates
from detectors.windows.crowd import Crowd
from detectors.windows.scales import HOUR, MINUTES, Scale

GROWTH = 1.4
"""A window is looked at again before its end when it has grown by this factor: a handful of looks a window."""

FACTOR = 1.5
"""And when it has more events already than this many times what all of it usually has."""

EVENTS_PER_EARLY_WINDOW = 500
"""Events that pay for a look, which takes half a millisecond: a microsecond an event."""

EARLY_WINDOWS_MIN = 64
"""Looks that are paid for at every moment, however few events came."""

MINUTES_ORDER, HOUR_ORDER = 1, 2
"""Orders of these scales."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What early looks need of their audit; ``judge`` is given the actors too where they are wanted."""

    watches: TargetStates
    platforms: list[Platform]
    rulings: Rulings
    peers: OtherMetrics
    scales: tuple[Scale, ...]
    parts: tuple[int, ...]
    judge: Callable[[WindowView, Set[int]], None]
    unjudged: Callable[[Key, int, Exception, Outcome], None]
    """is told of a key's window (by the order of its scale) at which a look failed"""


class EarlyWindows:
    """The open windows that are worth a look, until all that came at one moment has been entered."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._worth: list[tuple[float, int, Key]] = []
        """how far out (negative: the furthest is the least), order of the scale, key"""

    def entered(self, key: Key, watched: TargetState) -> None:
        """Consider a key's five minutes, which were entered into, and these with the hour that they are part of."""
        minutes = watched.open[MINUTES]
        if minutes.n >= f.FEW_MIN:
            self._consider(MINUTES_ORDER, key, watched, minutes.n, minutes.events_judged)
        hour = watched.open.get(HOUR)
        if hour is not None and hour.n + minutes.n >= f.FEW_MIN:
            self._consider(HOUR_ORDER, key, watched, hour.n + minutes.n, hour.events_judged)

    def merged(self, order: int, key: Key, watched: TargetState, crowd: Crowd) -> None:
        """Consider a longer window that a shorter one has closed into."""
        if crowd.n >= f.FEW_MIN:
            self._consider(order, key, watched, crowd.n, crowd.events_judged)

    def _consider(self, order: int, key: Key, watched: TargetState, count: int, events_judged: int) -> None:
        """A window of ``count`` events, which had ``looked`` of them when it was last looked at."""
        desk, metric = self._desk, metric_of(key)
        name = desk.scales[order].name
        platform, level = desk.platforms[metric], watched.levels.get(name)
        least = platform.typical.get(name, 0.0) if level is None else level.mean
        if count < GROWTH * events_judged or count <= FACTOR * least:
            return
        usual, _ = usual_of(watched, name, platform)
        if count > FACTOR * usual and desk.peers.reference(metric).experienced():
            self._worth.append((-count / (1.0 + usual), order, key))

    def take(self, now_ms: int, events: int, outcome: Outcome) -> Iterator[None]:
        """Judge the furthest out of what was considered, as many as so many events pay for; pauses after each."""
        worth, self._worth = self._worth, []
        paid = max(EARLY_WINDOWS_MIN, events // EVENTS_PER_EARLY_WINDOW)
        outcome.put_off += max(0, len(worth) - paid)
        for _, order, key in heapq.nsmallest(paid, worth):
            watched = self._desk.watches.change(key)
            minutes = watched.open.get(MINUTES)
            try:
                if order == HOUR_ORDER and minutes is not None:
                    self._look_across(key, watched, minutes, (now_ms, outcome))
                else:
                    self._look(order, key, watched, (now_ms, outcome))
            except UNCONTAINED:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, it must not end more than this
                self._desk.unjudged(key, order, error, outcome)
            yield

    def _look(self, order: int, key: Key, watched: TargetState, at: tuple[int, Outcome]) -> None:
        crowd = watched.open[self._desk.scales[order].name]
        look = self._open(order, key, watched, crowd, at=at)
        look.peers = self._desk.peers.counts(key, order, crowd.start, {})
        self._desk.judge(look, crowd.actor_hashes() if order == MINUTES_ORDER else frozenset())

    def _look_across(self, key: Key, watched: TargetState, minutes: Crowd, at: tuple[int, Outcome]) -> None:
        """Judge an open hour together with its open minutes: what comes slowly has no window of minutes of its own."""
        metric, hour = metric_of(key), watched.open[HOUR]
        known = [self._desk.platforms[metric].known, self._desk.peers.reference(metric).known]
        both = together(hour, minutes, known)
        look = self._open(HOUR_ORDER, key, watched, both, at=at)
        look.peers = self._desk.peers.counts(key, MINUTES_ORDER, minutes.start, {})
        self._desk.judge(look, frozenset())
        divide(both, hour, minutes)

    def _open(self, order: int, key: Key, watched: TargetState, crowd: Crowd, *, at: tuple[int, Outcome]) -> WindowView:
        desk, metric = self._desk, metric_of(key)
        now_ms, outcome = at
        platform, reference = desk.platforms[metric], desk.peers.reference(metric)
        scale, parts = desk.scales[order], desk.parts[order]
        look = WindowView(key, watched, scale, crowd.start, crowd, platform, reference, outcome, parts=parts)
        look.rates, look.rulings = desk.platforms[0].rates, desk.rulings
        look.early_at = now_ms
        look.viewers = desk.peers.may_have_viewed(key, crowd, desk.peers.viewers(key, crowd))
        look.silence = desk.peers.silence(key, scale, crowd.start)
        return look
