"""What is learned of the platform from all windows of one scale that close together."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from detectors.events.event import METRICS
from detectors.events.key import Key
from detectors.features.names import EVENTS_MIN
from detectors.platform.platform import HOURLY_CAP, Platform
from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY, HOUR, MINUTES, Scale

VIEWERS_CAP = 4
"""Likes (follows) of one target in a window that count for the share by actors who had viewed: bought likes without
views must not set the baseline."""
FROM_VIEWS = frozenset({MINUTES, HOUR})
"""Scales of that share. A platform that emits views when playback ends has few of them within minutes."""

LIKE = METRICS.index("like")
"""Index of likes. They are given where a target is played; follows also in search results and lists of people."""


def _zeros() -> list[int]:
    return [0] * len(METRICS)


@dataclass(slots=True)
class Lessons:
    """Totals over all windows of a scale that begin at ``start``."""

    scale: Scale
    start: int
    events: int = 0
    capped: list[int] = field(default_factory=_zeros)
    """events by metric, each target's up to HOURLY_CAP"""
    windows: list[int] = field(default_factory=_zeros)
    crowds: list[int] = field(default_factory=_zeros)
    """windows by metric, and those of them that have a crowd"""
    actors: list[array[int]] = field(default_factory=lambda: [array("q") for _ in METRICS])
    """actors by metric: may be millions, and a list needs five times the memory"""
    acts: list[int] = field(default_factory=_zeros)
    acts_on_viewed: list[int] = field(default_factory=_zeros)
    """likes and follows by metric, each target's up to HOURLY_CAP, and those of them on targets that are also viewed"""
    checked_acts: list[int] = field(default_factory=_zeros)
    viewers: list[float] = field(default_factory=lambda: [0.0] * len(METRICS))
    """likes and follows of viewed targets by metric, each target's up to VIEWERS_CAP, and those by actors who had
    viewed"""
    interactions: list[tuple[float, int, int]] = field(default_factory=list)
    """by window, the people who viewed, likes and follows"""
    views: dict[Key, int] = field(default_factory=dict)
    """key → views of its window without those in quarantine, if the window has a crowd"""
    viewed: dict[Key, float] = field(default_factory=dict)
    """key of likes or follows → events of its window by actors of the target's window of views that has closed"""

    def add_window(self, metric: int, crowd: Crowd) -> None:
        """Add a window."""
        self.events += crowd.n
        self.capped[metric] += min(crowd.n, HOURLY_CAP)
        self.windows[metric] += 1
        self.crowds[metric] += crowd.n >= EVENTS_MIN

    def add_acts(self, metric: int, crowd: Crowd, *, viewed: bool) -> None:
        """Add likes or follows, and whether their target is also viewed."""
        acts = min(crowd.n, HOURLY_CAP)
        self.acts[metric] += acts
        self.acts_on_viewed[metric] += acts if viewed else 0

    def add_viewers(self, metric: int, crowd: Crowd, viewers: float, *, checked: int) -> None:
        """Add likes or follows of a viewed target, and those by actors who had viewed it, if all actors were checked.

        Events without an actor are left out: whether they follow a view is not known.
        """
        if checked == len(crowd.actors) and crowd.named:
            acts = min(crowd.named, VIEWERS_CAP)
            self.checked_acts[metric] += acts
            self.viewers[metric] += acts * viewers / crowd.named

    def emits_every_view(self, platform: Platform, metric: int) -> bool:
        """Whether each opening of a target in this time was emitted as a view. Windows of views close before likes."""
        from_views = metric == LIKE and self.scale.name in FROM_VIEWS
        return from_views and platform.emits_every_view(self.scale, self.start, self.capped[0])

    def teach(self, platforms: list[Platform]) -> Iterator[None]:
        """Update the platforms, with pauses."""
        views = platforms[0]
        if self.scale.name in {HOUR, DAY}:
            views.rates.learn(self.scale.name, self.interactions)
            for metric, acts in enumerate(self.acts):
                if acts:
                    views.rates.learn_acts_on_viewed(metric, acts, self.acts_on_viewed[metric])
            views.changed = True
        for metric, acts in enumerate(self.checked_acts):
            if acts:
                views.rates.learn_viewers(self.scale.name, metric, acts, self.viewers[metric])
                views.changed = True
        for metric, platform in enumerate(platforms):
            platform.closed(self.scale, self.windows[metric], self.crowds[metric])
            if self.scale.name == HOUR:
                platform.learn_hour(self.start, self.capped[metric])
            yield from platform.learn_actors_in_steps(self.actors[metric])
