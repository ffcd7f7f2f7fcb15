"""What stands beside a window: the same target's other metrics, and the platform whose people it is compared with."""

from __future__ import annotations

import math
from collections.abc import Iterable

from detectors.events.event import METRICS
from detectors.events.key import VIEW, Key, is_view, other_metric
from detectors.features.names import EVENTS_MIN
from detectors.platform.platform import Platform
from detectors.state.target_states import TargetStates
from detectors.windows.crowd import Crowd
from detectors.windows.scales import Scale

DOUBTS = 3.0
"""Standard errors by which fewer viewers than there were may be found among the views that have an actor."""


class OtherMetrics:
    """See the module. Reads the state of an audit, changes none."""

    def __init__(self, watches: TargetStates, platforms: list[Platform], scales: tuple[Scale, ...]) -> None:
        self._watches = watches
        self._platforms = platforms
        self._scales = scales

    def reference(self, metric: int) -> Platform:
        """Whose people a metric's crowds are compared with: those of the views, if there are any.

        All metrics are done by the same people, and views are the most and the hardest to fill with bought ones: where
        most follows are bought, follows are no yardstick.
        """
        views = self._platforms[0]
        return views if views.experienced() else self._platforms[metric]

    def counts(self, key: Key, order: int, start: int, closed: dict[Key, int]) -> tuple[int, int, int]:
        """Views, likes and follows of a key's target in its window; beside five minutes, those of the hour so far.

        Those in quarantine are left out: bought views bring no likes, and bought likes are no answer to views.
        ``closed`` has the events of the larger windows of views that have closed at this moment, by key.
        """
        views, likes, follows = (
            self._count(other_metric(key, metric), order, start, closed) for metric in range(len(METRICS))
        )
        return views, likes, follows

    def viewed(self, key: Key) -> bool:
        """Whether a key's target has ever been viewed."""
        return self._watches.peek(other_metric(key, VIEW)) is not None

    def days(self, key: Key) -> int:
        """Days for which the views of a key's target have been watched."""
        watched = self._watches.peek(other_metric(key, VIEW))
        level = None if watched is None else watched.levels.get(self._scales[-1].name)
        return 0 if level is None else level.windows

    def silence(self, key: Key, scale: Scale, start: int) -> int:
        """Windows of a scale from the first view of a key's target to ``start``; 0 of views, and of what has none."""
        watched = None if is_view(key) else self._watches.peek(other_metric(key, VIEW))
        level = None if watched is None else watched.levels.get(scale.name)
        if level is None:
            return 0
        return level.windows + max(0, (start - level.last_start) // scale.span_ms - 1)

    def viewers(self, key: Key, crowd: Crowd) -> float:
        """Events of a crowd of likes or follows by people who are in the target's open windows of views."""
        if is_view(key):
            return 0.0
        return min(float(crowd.named), _viewers(crowd, self._views(key)))

    def may_have_viewed(self, key: Key, crowd: Crowd, viewers: float) -> float:
        """Events of a crowd of likes or follows by people who may have viewed, ``viewers`` of them by people who did.

        Of views without an actor nobody knows who viewed (see ``most_viewers``).
        """
        views = self._views(key)
        nobody = sum(window.nobody for window in views)
        if not nobody:
            return viewers
        most = most_viewers(viewers, sum(window.named for window in views), nobody)
        return min(float(crowd.named), most)

    def asked(self, key: Key, crowd: Crowd) -> int:
        """How many of its sampled people would be seen in those windows, of which samples are kept, had they viewed."""
        crowd.settle()
        return min((len(_askable(crowd.actors, window)) for window in self._views(key)), default=len(crowd.actors))

    def parting_viewers(self, key: Key, order: int, crowd: Crowd) -> dict[Key, float]:
        """The same for a window of views that closes and goes: by the keys of the target's likes and follows.

        Shorter windows than the longest go nowhere: they are part of the next longer one.
        """
        came: dict[Key, float] = {}
        if order + 1 < len(self._scales):
            return came
        for peer in (other_metric(key, metric) for metric in range(1, len(METRICS))):
            watched = self._watches.peek(peer)
            acts = None if watched is None else watched.open.get(self._scales[order].name)
            if acts is not None and acts.n >= EVENTS_MIN:
                came[peer] = most_viewers(_viewers(acts, (crowd,)), crowd.named, crowd.nobody)
        return came

    def _views(self, key: Key) -> list[Crowd]:
        watched = self._watches.peek(other_metric(key, VIEW))
        return [] if watched is None else [window for window in watched.open.values() if window.n]

    def _count(self, peer: Key, order: int, start: int, closed: dict[Key, int]) -> int:
        """Of the windows that are open at the look's scale and below, and above five minutes of the hour."""
        count = closed.get(peer, 0)
        watched = self._watches.peek(peer)
        if watched is None:
            return count
        end = start + self._scales[order].span_ms
        for scale in self._scales[1 : order + 1 + (order == 1)]:
            window = watched.open.get(scale.name)
            if window is not None and window.start < end and start < window.start + scale.span_ms:
                count += window.n - window.quarantined
        return count


def _viewers(acts: Crowd, windows: Iterable[Crowd]) -> float:
    """Events of a crowd of likes or follows by people who are in these windows of views."""
    acts.settle()
    left = dict(acts.actors)
    came = sum(_came(left, window) for window in windows)
    return came * acts.named / max(1, sum(acts.actors.values()))


def _askable(actors: Iterable[int], window: Crowd) -> list[int]:
    """Those who would be in a window's sample, if they were in the window."""
    if not window.sampled or not window.actors:
        return list(actors)
    last = max(window.actors)
    return [actor for actor in actors if actor <= last]


def _came(left: dict[int, int], window: Crowd) -> float:
    """Events of people who are in a window; they are taken from ``left``.

    Where only a sample of the window's people is kept, those are asked who would be in it. Of views in quarantine as
    many are left out as there are.
    """
    seen = window.actor_hashes()
    everybody = sum(left.values())
    asked = _askable(left, window)
    of_these = sum(left[actor] for actor in asked)
    found = sum(left.pop(actor) for actor in asked if actor in seen)
    return (1.0 - min(1.0, window.quarantined / max(1, window.named))) * found * everybody / max(1, of_these)


def most_viewers(found: float, named: int, nobody: int) -> float:
    """The most people who may have viewed, where ``found`` of them did: some of the views have no actor.

    Whoever viewed is found with the share p of the views that have an actor. The answer is the m of which so few are
    found only by a chance of DOUBTS standard errors, m·p - DOUBTS·√(m·p·(1 - p)) = found, and no more than there are
    views to have been made.

    >>> most_viewers(10.0, 100, 0), most_viewers(0.0, 0, 50), round(most_viewers(70.0, 70, 30))
    (10.0, 50.0, 100)
    >>> round(most_viewers(0.0, 700, 300)), round(most_viewers(50.0, 700, 300))
    (4, 90)
    """
    if not (named and nobody):
        return found + nobody
    known = named / (named + nobody)
    spread = DOUBTS * math.sqrt(known * (1.0 - known))
    root = (spread + math.sqrt(spread * spread + 4.0 * known * found)) / (2.0 * known)
    return min(found + nobody, root * root)
