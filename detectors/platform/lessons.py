"""What is learned of the platform from all windows of one scale that close together."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from detectors.events.event import METRICS
from detectors.events.key import Key
from detectors.failures import UNCONTAINED
from detectors.features import names as f
from detectors.features.columns import Columns, joined, number_of
from detectors.features.names import EVENTS_MIN
from detectors.features.people import People, together
from detectors.platform.platform import HOURLY_CAP, Platform
from detectors.scoring.detector import learn_many
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


TAUGHT_MAX = 20_000
"""Most windows of a metric whose people or crowds are learned from at once: memory must not depend on how many close
together for the first time (afterwards a sample is learned from, see ``Platform.teaching``)."""


@dataclass(slots=True)
class CrowdLessons:
    """What is learned of the unflagged windows of one metric, in the order of their keys."""

    typical: list[int] = field(default_factory=list)
    """counts"""
    people: list[People] = field(default_factory=list)
    named: list[int] = field(default_factory=list)
    accounts: list[tuple[int, int]] = field(default_factory=list)
    """see Platform.learn_people"""
    sellers: list[tuple[int, int]] = field(default_factory=list)
    """by window, people that are a seller's accounts, and all"""
    crowds: list[tuple[int, Columns]] = field(default_factory=list)
    """features of crowds, as (number of windows, columns)"""

    def add_people(self, people: People, named: list[int], accounts: list[tuple[int, int]]) -> None:
        """Add the people of windows of five minutes."""
        if len(self.named) < TAUGHT_MAX:
            self.people.append(people)
            self.named += named
            self.accounts += accounts

    def add_crowds(self, columns: Columns) -> None:
        """Add the features of windows with a crowd."""
        if sum(number for number, _ in self.crowds) < TAUGHT_MAX:
            self.crowds.append((number_of(columns), columns))

    def add_sellers(self, numbers: list[tuple[int, int]]) -> None:
        """Add how many people of windows are a seller's accounts, each with the number of all its people."""
        if len(self.sellers) < TAUGHT_MAX:
            self.sellers += numbers

    def teach(self, platform: Platform, scale: Scale, fail: Callable[[Exception], None]) -> Iterator[None]:
        """Update a platform, with pauses. ``fail`` gets the exception of a detector; the others still learn."""
        if not self.typical:
            return
        platform.changed = True
        platform.learn_typical(scale, self.typical)
        for having, checked in self.sellers:
            platform.learn_share(f.SELLERS, having, checked)
        if self.people:
            platform.learn_people(together(self.people), self.named, self.accounts)
            yield
        if self.crowds:
            columns = joined(self.crowds)
            for detector in platform.detectors_of(scale).values():
                try:
                    learn_many(detector, columns)
                except UNCONTAINED:
                    raise
                except Exception as error:  # noqa: BLE001  # the other detectors still learn
                    fail(error)
                yield


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
    unflagged: list[tuple[float, int]] = field(default_factory=list)
    """by window of views without artificial ones, the people who viewed, likes and follows together"""
    by_metric: list[CrowdLessons] = field(default_factory=lambda: [CrowdLessons() for _ in METRICS])
    """of the windows themselves"""
    views: dict[Key, int] = field(default_factory=dict)
    """key → views of its window without those in quarantine, if the window has a crowd"""
    viewed: dict[Key, float] = field(default_factory=dict)
    """key of likes or follows → events of its window by actors of the target's window of views that has closed"""

    def add_windows(self, metric: int, counts: Sequence[int]) -> None:
        """Add windows of these numbers of events."""
        self.events += sum(counts)
        self.capped[metric] += sum([min(count, HOURLY_CAP) for count in counts])
        self.windows[metric] += len(counts)
        self.crowds[metric] += sum([count >= EVENTS_MIN for count in counts])

    def add_acts(self, metric: int, events: int, *, viewed: bool) -> None:
        """Add likes or follows, and whether their target is also viewed."""
        acts = min(events, HOURLY_CAP)
        self.acts[metric] += acts
        self.acts_on_viewed[metric] += acts if viewed else 0

    def add_viewers(self, metric: int, events: int, viewers: float) -> None:
        """Add likes or follows of a viewed target that have an actor, and those by actors who had viewed it."""
        acts = min(events, VIEWERS_CAP)
        self.checked_acts[metric] += acts
        self.viewers[metric] += acts * viewers / events

    def emits_every_view(self, platform: Platform, metric: int) -> bool:
        """Whether each opening of a target in this time was emitted as a view. Windows of views close before likes."""
        from_views = metric == LIKE and self.scale.name in FROM_VIEWS
        return from_views and platform.emits_every_view(self.scale, self.start, self.capped[0])

    def teach(self, platforms: list[Platform], fail: Callable[[Exception], None]) -> Iterator[None]:
        """Update the platforms, with pauses. See ``CrowdLessons.teach``."""
        for lessons, platform in zip(self.by_metric, platforms, strict=True):
            yield from lessons.teach(platform, self.scale, fail)
        views = platforms[0]
        if self.scale.name in {HOUR, DAY}:
            views.rates.learn_variation(self.scale.name, self.unflagged)
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
