"""Counts and viewers of a target's other metrics, and the reference platform of a metric."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from detectors.events.event import METRICS
from detectors.events.key import VIEW, Key, is_view, other_metric
from detectors.features.names import EVENTS_MIN
from detectors.platform.platform import Platform
from detectors.state.target_state import TargetState
from detectors.state.target_states import TargetStates
from detectors.windows.crowd import Crowd
from detectors.windows.scales import Scale

VIEWER_STANDARD_ERRORS = 3.0
"""Standard errors by which the viewers found among the views with an actor may be fewer than the real viewers."""


class Viewers(NamedTuple):
    """The viewers among the actors of a crowd of likes or follows."""

    events: float
    """events by actors who are in the target's open view windows"""
    possible: float
    """upper bound on the events by viewers: views without an actor may be anyone's (see ``most_viewers``)"""
    checkable: int
    """sampled people of the crowd who would be found in the view windows if they had viewed. A window stores only a
    sample of its actors; others cannot be checked"""


class OtherMetrics:
    """Reads the other metrics of a target from the state of an audit. It never changes that state."""

    def __init__(self, watches: TargetStates, platforms: list[Platform], scales: tuple[Scale, ...]) -> None:
        self._watches = watches
        self._platforms = platforms
        self._scales = scales

    def reference(self, metric: int) -> Platform:
        """The platform model that a metric's crowds are compared with: that of views, once it has enough history.

        The same people view, like and follow. Views are the most frequent metric, and the hardest to fill with
        artificial events. If most follows are bought, follows cannot serve as a reference.
        """
        views = self._platforms[0]
        return views if views.experienced() else self._platforms[metric]

    def counts(self, key: Key, order: int, start: int, closed: dict[Key, int]) -> tuple[int, int, int]:
        """Views, likes and follows of a key's target in its window. For five minutes, those of the hour so far.

        Quarantined events are excluded: bought views bring no likes, and bought likes are not a response to views.
        ``closed`` contains the events of view windows of EVENTS_MIN events or more that closed at this moment, by key.
        """
        views, likes, follows = (
            self._count(other_metric(key, metric), order, start, closed) for metric in range(len(METRICS))
        )
        return views, likes, follows

    def views_of(self, keys: Sequence[Key]) -> list[TargetState | None]:
        """The states of the views of some keys' targets, at most CHANGED_AT_ONCE; None where no view is known."""
        return self._watches.peek_many([other_metric(key, VIEW) for key in keys])

    def days(self, key: Key) -> int:
        """Closed days in the history of the views of a key's target."""
        state = self._watches.peek(other_metric(key, VIEW))
        level = None if state is None else state.levels.get(self._scales[-1].name)
        return 0 if level is None else level.windows

    def windows_since_first_view(self, key: Key, scale: Scale, start: int) -> int:
        """Windows of a scale between the first view of a key's target and ``start``. 0 for views and without a view."""
        state = None if is_view(key) else self._watches.peek(other_metric(key, VIEW))
        level = None if state is None else state.levels.get(scale.name)
        if level is None:
            return 0
        return level.windows + max(0, (start - level.last_start) // scale.span_ms - 1)

    def viewers(self, key: Key, crowd: Crowd) -> Viewers:
        """The viewers among the actors of a key's crowd of likes or follows. A crowd of views has none."""
        if is_view(key):
            return Viewers(0.0, 0.0, 0)
        return viewers_among(crowd, self._watches.peek(other_metric(key, VIEW)))

    def viewers_in_closing_window(self, key: Key, order: int, crowd: Crowd) -> dict[Key, float]:
        """Upper bound on the events by viewers in a closing view window, by the keys of the target's likes and follows.

        Only for the longest scale, whose window is dropped. A shorter window is merged into the next longer one.
        """
        found: dict[Key, float] = {}
        if order + 1 < len(self._scales):
            return found
        for other in (other_metric(key, metric) for metric in range(1, len(METRICS))):
            state = self._watches.peek(other)
            acts = None if state is None else state.open.get(self._scales[order].name)
            if acts is not None and acts.n >= EVENTS_MIN:
                viewers = _viewer_events(acts, acts.events_by_actor(), (crowd,))
                found[other] = most_viewers(viewers, crowd.named, crowd.nobody)
        return found

    def _count(self, other: Key, order: int, start: int, closed: dict[Key, int]) -> int:
        """Events of the open windows at this scale and below; for five minutes, of the open hour too."""
        count = closed.get(other, 0)
        state = self._watches.peek(other)
        if state is None:
            return count
        end = start + self._scales[order].span_ms
        for scale in self._scales[1 : order + 1 + (order == 1)]:
            window = state.open.get(scale.name)
            if window is not None and window.start < end and start < window.start + scale.span_ms:
                count += window.n - window.quarantined
        return count


def viewers_among(crowd: Crowd, state: TargetState | None) -> Viewers:
    """The viewers among the actors of a crowd of likes or follows, by the state of the views of its target."""
    views = [] if state is None else [window for window in state.open.values() if window.n]
    actors = crowd.events_by_actor()
    if any(window.sampled or window.quarantined for window in views):
        checkable = min([len(_checkable(actors, window)) for window in views])
        found = _viewer_events(crowd, actors, views)
    else:
        checkable = len(actors)
        found = _found_events(crowd, actors, views)
    certain = min(float(crowd.named), found)
    nobody = sum([window.nobody for window in views])
    possible = certain
    if nobody:  # they may be anyone's
        most = most_viewers(certain, sum([window.named for window in views]), nobody)
        possible = min(float(crowd.named), most)
    return Viewers(certain, possible, checkable)


def watch_buckets_of(state: TargetState | None) -> Counter[int]:
    """Events by watch bucket in the open windows of a target's views."""
    found: Counter[int] = Counter()
    for window in () if state is None else state.open.values():
        found.update(window.watch)
        if window.rows:
            found.update(bucket for bucket in window.columns()[-1] if bucket >= 0)
    return found


def _viewer_events(acts: Crowd, actors: Mapping[int, int], windows: Iterable[Crowd]) -> float:
    """Likes or follows of a crowd by those of its ``actors`` who are in these view windows."""
    left = dict(actors)
    found = sum([_take_viewers(left, window) for window in windows])
    return found * acts.named / max(1, sum(actors.values()))


def _found_events(acts: Crowd, actors: Mapping[int, int], windows: Iterable[Crowd]) -> float:
    """As ``_viewer_events`` where every actor can be checked, and no view is in quarantine."""
    left, found = list(actors), 0
    for window in windows:
        present = window.has_any(left)
        if present:
            found += sum([actors[actor] for actor in present])
            left = [actor for actor in left if actor not in present]
    return float(found) * acts.named / max(1, sum(actors.values()))


def _checkable(actors: Iterable[int], window: Crowd) -> list[int]:
    """The actors who would be in a window's sample if they were in the window."""
    last = window.last_sampled()
    if not window.sampled or last is None:
        return list(actors)
    return [actor for actor in actors if actor <= last]


def _take_viewers(left: dict[int, int], window: Crowd) -> float:
    """Events by actors who are in a view window. These actors are removed from ``left``.

    If the window is sampled, the share is measured on the checkable actors and extrapolated. The quarantined share of
    the views is subtracted.
    """
    total = sum(left.values())
    checkable = _checkable(left, window)
    checked = sum([left[actor] for actor in checkable])
    found = sum([left.pop(actor) for actor in window.has_any(checkable)])
    return (1.0 - min(1.0, window.quarantined / max(1, window.named))) * found * total / max(1, checked)


def most_viewers(found: float, named: int, nobody: int) -> float:
    """Upper bound on the viewers of a crowd, if ``found`` viewers are found and ``nobody`` views have no actor.

    A viewer is found with probability p, the share of views that have an actor. With k = VIEWER_STANDARD_ERRORS the
    bound is the m that solves m·p - k·√(m·p·(1 - p)) = found. It is never more than found + nobody.

    >>> most_viewers(10.0, 100, 0), most_viewers(0.0, 0, 50), round(most_viewers(70.0, 70, 30))
    (10.0, 50.0, 100)
    >>> round(most_viewers(0.0, 700, 300)), round(most_viewers(50.0, 700, 300))
    (4, 90)
    """
    if not (named and nobody):
        return found + nobody
    known = named / (named + nobody)
    spread = VIEWER_STANDARD_ERRORS * math.sqrt(known * (1.0 - known))
    root = (spread + math.sqrt(spread * spread + 4.0 * known * found)) / (2.0 * known)
    return min(found + nobody, root * root)
