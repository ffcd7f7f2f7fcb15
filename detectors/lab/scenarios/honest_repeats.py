"""Honest people with many events each. Each docstring says why they must not be flagged."""

from __future__ import annotations

import numpy as np

from detectors.lab.scenarios.scene import Scene
from detectors.lab.traffic.platform import Labelled
from detectors.lab.traffic.population import COUNTRIES
from detectors.windows.scales import DAY_MS, HOUR_MS


def super_fans(scene: Scene) -> list[Labelled]:
    """A streaming party: about a hundred known accounts each play a new song ten to forty times in an evening, to the
    end. Must not be flagged: rules may discount repeats, but real people play it, and nothing is bought."""
    made: list[Labelled] = []
    for target in scene.targets(scene.crowd_count(4), 0.0, 0.4):
        start = scene.start_time(5 * HOUR_MS)
        fans = scene.platform.people.people(
            scene.rng, scene.size(90), start, country=int(scene.platform.home[target]), distinct=True
        )
        duration = min(int(scene.platform.duration_ms[target]), 240_000)
        for who in fans:
            at = start + scene.rng.uniform(0, HOUR_MS)
            for _ in range(int(scene.rng.integers(10, 40))):
                made.append(
                    scene.event(
                        int(at),
                        who,
                        target,
                        watch_ms=int(duration * scene.rng.uniform(0.9, 1.0)),
                        duration_ms=duration,
                        artificial=False,
                    )
                )
                at += duration + scene.rng.exponential(60_000)
    return [labelled for labelled in made if labelled.event.ts < scene.end_ms]


def sleep_loops(scene: Scene) -> list[Labelled]:
    """Rain sounds on repeat while people sleep: the same few dozen accounts every night, always to the end, at even
    intervals of the track's length. Must not be flagged: this is the intended use of the track."""
    made: list[Labelled] = []
    nights = range(int(scene.start_ms // DAY_MS), int(scene.end_ms // DAY_MS) + 1)
    for target in scene.targets(scene.crowd_count(4)):
        country = int(scene.platform.home[target])
        people = scene.platform.people
        sleepers = people.people(scene.rng, scene.size(30), scene.start_ms, country=country, distinct=True)
        duration = int(np.clip(scene.platform.duration_ms[target], 180_000, 600_000))
        for night in nights:
            dusk = night * DAY_MS + (22 - COUNTRIES[country][2]) * HOUR_MS
            for who in sleepers:
                if scene.rng.random() < 0.3:
                    continue
                at, dawn = dusk + scene.rng.normal(HOUR_MS, HOUR_MS), dusk + scene.rng.uniform(7, 9) * HOUR_MS
                while at < dawn:
                    made.append(
                        scene.event(int(at), who, target, watch_ms=duration, duration_ms=duration, artificial=False)
                    )
                    at += duration + scene.rng.uniform(200, 900)
    return [labelled for labelled in made if scene.start_ms <= labelled.event.ts < scene.end_ms]


def bulk_catalogue(scene: Scene) -> list[Labelled]:
    """Shops, libraries and collectors who play whole catalogues: few actors on hundreds of targets, for eight hours.
    Must not be flagged: no target gains from it. A limit on the rate of an actor alone would flag them."""
    made: list[Labelled] = []
    for who in scene.platform.people.people(scene.rng, scene.crowd_count(10), scene.from_ms, distinct=True):
        at = float(scene.start_time(8 * HOUR_MS))
        until = at + 8 * HOUR_MS
        while at < min(until, scene.end_ms - 1):
            target = int(scene.rng.integers(0, len(scene.platform.names)))
            watch = min(int(scene.platform.duration_ms[target]), 200_000)
            made.append(
                scene.event(
                    int(at),
                    who,
                    target,
                    watch_ms=watch,
                    referrer=scene.platform.referrers[1],
                    artificial=False,
                )
            )
            at += watch + scene.rng.exponential(3_000)
    return made
