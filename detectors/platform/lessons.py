"""What the windows of one scale that close at one moment tell of the platform, gathered while they do."""

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
"""Likes (follows) of one target in a window of which it counts whether their people had viewed: nobody who buys likes
makes likes without views usual."""
FROM_VIEWS = frozenset({MINUTES, HOUR})
"""Scales by which it is measured: a platform that tells of a view when it has ended has few by the minutes' end."""

LIKE = METRICS.index("like")
"""Place of the metric: likes are given where a target is played, follows in search results and lists of people, too."""


def _zeros() -> list[int]:
    return [0] * len(METRICS)


@dataclass(slots=True)
class Lessons:
    """All windows of a scale that begin at ``start``."""

    scale: Scale
    start: int
    events: int = 0
    capped: list[int] = field(default_factory=_zeros)
    """events by metric, each target's up to HOURLY_CAP"""
    windows: list[int] = field(default_factory=_zeros)
    crowds: list[int] = field(default_factory=_zeros)
    """windows by metric, and those of them that have a crowd"""
    met: list[array[int]] = field(default_factory=lambda: [array("q") for _ in METRICS])
    """who came, by metric; millions of people, of whom a list takes five times as much"""
    acts: list[int] = field(default_factory=_zeros)
    acts_on_viewed: list[int] = field(default_factory=_zeros)
    """likes and follows of the windows that were asked, each target's up to HOURLY_CAP, and those of them on targets
    that are viewed as well"""
    asked: list[int] = field(default_factory=_zeros)
    viewers: list[float] = field(default_factory=lambda: [0.0] * len(METRICS))
    """likes and follows of targets that are viewed, each target's up to VIEWERS_CAP, and those by people who had
    viewed"""
    interactions: list[tuple[float, int, int]] = field(default_factory=list)
    """people who viewed, likes and follows, by window"""
    views: dict[Key, int] = field(default_factory=dict)
    """key → views of its window, those in quarantine left out, where there is a crowd"""
    viewed: dict[Key, float] = field(default_factory=dict)
    """key of likes or follows → events of its window by people who are in one of views that has closed"""

    def add_window(self, metric: int, crowd: Crowd) -> None:
        """Count a window."""
        self.events += crowd.n
        self.capped[metric] += min(crowd.n, HOURLY_CAP)
        self.windows[metric] += 1
        self.crowds[metric] += crowd.n >= EVENTS_MIN

    def add_acts(self, metric: int, crowd: Crowd, *, viewed: bool) -> None:
        """Count likes or follows, and whether their target is viewed as well."""
        acts = min(crowd.n, HOURLY_CAP)
        self.acts[metric] += acts
        self.acts_on_viewed[metric] += acts if viewed else 0

    def add_viewers(self, metric: int, crowd: Crowd, viewers: float, *, asked: int) -> None:
        """Count likes or follows of a target that is viewed, and those by people who viewed it, if all were asked.

        Those without an actor are not counted: nobody knows whether they viewed.
        """
        if asked == len(crowd.actors) and crowd.named:
            acts = min(crowd.named, VIEWERS_CAP)
            self.asked[metric] += acts
            self.viewers[metric] += acts * viewers / crowd.named

    def emits_every_view(self, platform: Platform, metric: int) -> bool:
        """Whether whoever opened the target of a like in this time was told as a view. Views close before likes."""
        from_views = metric == LIKE and self.scale.name in FROM_VIEWS
        return from_views and platform.emits_every_view(self.scale, self.start, self.capped[0])

    def teach(self, platforms: list[Platform]) -> Iterator[None]:
        """Let the platforms learn it, pausing now and then."""
        views = platforms[0]
        if self.scale.name in {HOUR, DAY}:
            views.rates.learn(self.scale.name, self.interactions)
            for metric, acts in enumerate(self.acts):
                if acts:
                    views.rates.learn_acts_on_viewed(metric, acts, self.acts_on_viewed[metric])
            views.changed = True
        for metric, acts in enumerate(self.asked):
            if acts:
                views.rates.learn_viewers(self.scale.name, metric, acts, self.viewers[metric])
                views.changed = True
        for metric, platform in enumerate(platforms):
            platform.closed(self.scale, self.windows[metric], self.crowds[metric])
            if self.scale.name == HOUR:
                platform.learn_hour(self.start, self.capped[metric])
            yield from platform.meet_in_steps(self.met[metric])
