"""Traffic of the lab to send to topics: the demo's day, and live traffic in real time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from detectors.events.event import Event
from detectors.lab.scenarios import honest, overt
from detectors.lab.scenarios.scene import Scene, overlay
from detectors.lab.traffic.platform import Labelled, Platform
from detectors.windows.scales import DAY_MS, HOUR_MS

DEMO_START_MS = 1_767_571_200_000
"""Monday 5 January 2026, 00:00 UTC. Any past day would do; a Monday begins the weekly rhythm."""

DEMO_QUIET_MS = 17 * HOUR_MS
DEMO_STORY_MS = 2 * HOUR_MS
DEMO_TAIL_MS = 2 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Story:
    """A day of a platform with a target that gets bought views, and a target that goes viral honestly."""

    events: list[Event]
    bought: str
    bought_events: int
    viral: str
    viral_events: int


def demo_story(seed: int, *, targets: int = 3000, views_per_day: float = 170_000.0) -> Story:
    """A compressed day: quiet hours, then a bought burst and the share of a celebrity."""
    platform = Platform(seed, targets=targets, actors=20_000, views_per_day=views_per_day)
    end = DEMO_START_MS + DEMO_QUIET_MS + DEMO_STORY_MS + DEMO_TAIL_MS
    bought = _only(overt.botnet_burst(_scene("botnet_burst", platform, seed, budget=1500)))
    viral = _only(honest.celebrity_share(_scene("celebrity_share", platform, seed, strength=1.3)), bought[0])
    stream = overlay(platform.events(DEMO_START_MS, end), bought[1] + viral[1])
    events = [labelled.event for chunk in stream for labelled in chunk]
    return Story(events, bought[0], len(bought[1]), viral[0], len(viral[1]))


def _scene(name: str, platform: Platform, seed: int, *, budget: int = 0, strength: float = 1.0) -> Scene:
    start = DEMO_START_MS + DEMO_QUIET_MS
    return Scene(
        scenario=name,
        platform=platform,
        rng=np.random.default_rng([seed, *name.encode()]),
        start_ms=DEMO_START_MS,
        from_ms=start,
        end_ms=start + DEMO_STORY_MS,
        budget=budget,
        strength=strength,
    )


def _only(laid: list[Labelled], other_than: str = "") -> tuple[str, list[Labelled]]:
    """The target with the most views, and its events."""
    views: dict[str, int] = {}
    for labelled in laid:
        if labelled.event.metric == "view" and labelled.event.target != other_than:
            views[labelled.event.target] = views.get(labelled.event.target, 0) + 1
    target = max(sorted(views), key=views.__getitem__)
    return target, [labelled for labelled in laid if labelled.event.target == target]


class Simulation:
    """A platform's traffic with current times."""

    def __init__(self, *, seed: int, targets: int, rate: int, attack: bool) -> None:
        self._platform = Platform(seed, targets=targets, actors=targets * 15, views_per_day=rate * 86_400 / 1.05)
        self._seed = seed
        self._attack = attack
        self.bought_target: str | None = None

    def live(self, clock: Callable[[], float], sleep: Callable[[float], None], seconds: float) -> Iterator[list[Event]]:
        """Yield each batch of events when its time comes, and end after ``seconds`` by the clock (0: ten days).

        If the events cannot be sent as fast as planned, it ends at that time too, and leaves out the rest.
        """
        start = int(clock() * 1000)
        end = start + int((seconds or 10 * 86_400) * 1000)
        stream = self._platform.events(start, end)
        if self._attack:
            stream = overlay(stream, self._burst(start, end))
        for chunk in stream:
            for second in _by_second(chunk):
                ahead = second[-1].ts / 1000 - clock()
                if ahead > 0:
                    sleep(ahead)
                if clock() * 1000 > end:
                    return
                yield second

    def _burst(self, start: int, end: int) -> list[Labelled]:
        middle = start + min((end - start) // 2, DAY_MS // 144)
        scene = Scene(
            scenario="botnet_burst",
            platform=self._platform,
            rng=np.random.default_rng([self._seed, 7]),
            start_ms=start,
            from_ms=middle,
            end_ms=max(middle + 60_000, end),
            budget=2000,
        )
        self.bought_target, laid = _only(overt.botnet_burst(scene))
        return _shortened(laid, middle, end)


def _shortened(laid: list[Labelled], begin: int, end: int) -> list[Labelled]:
    """Move events that last beyond ``end`` closer together, so that all are between ``begin`` and ``end``."""
    span = laid[-1].event.ts + 1 - begin
    if begin + span <= end:
        return laid

    def moved(event: Event) -> Event:
        return msgspec.structs.replace(event, ts=begin + (event.ts - begin) * (end - begin) // span)

    return [labelled._replace(event=moved(labelled.event)) for labelled in laid]


def _by_second(chunk: list[Labelled]) -> Iterator[list[Event]]:
    batch: list[Event] = []
    for labelled in chunk:
        if batch and labelled.event.ts // 1000 != batch[0].ts // 1000:
            yield batch
            batch = []
        batch.append(labelled.event)
    if batch:
        yield batch
