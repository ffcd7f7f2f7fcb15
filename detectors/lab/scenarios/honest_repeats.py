"""Honest people who come again and again. Every docstring says why they must be spared."""

from __future__ import annotations

import numpy as np

from detectors.lab.scenarios.scene import Scene
from detectors.lab.traffic.platform import Labelled
from detectors.lab.traffic.population import COUNTRIES
from detectors.windows.scales import DAY_MS, HOUR_MS


def super_fans(scene: Scene) -> list[Labelled]:
    """A fandom's streaming party: a hundred known accounts play the new song ten to forty times in an
    evening, to the end. Spare it: rules may discount repeats, but the plays are people's; nothing is
    bought."""
    made: list[Labelled] = []
    for target in scene.targets(scene.some(4), 0.0, 0.4):
        start = scene.moment(5 * HOUR_MS)
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
    """Rain sounds on repeat while people sleep: the same few dozen accounts, every night, end to end, at
    gaps as even as the track is long. Spare it: it is what the track is for."""
    made: list[Labelled] = []
    nights = range(int(scene.start_ms // DAY_MS), int(scene.end_ms // DAY_MS) + 1)
    for target in scene.targets(scene.some(4)):
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
    """Shops, libraries and collectors play whole catalogues: a few actors, hundreds of targets, all day.
    Spare it: no target gains by it; a rate per actor alone would condemn them."""
    made: list[Labelled] = []
    for who in scene.platform.people.people(scene.rng, scene.some(10), scene.from_ms, distinct=True):
        at = float(scene.moment(8 * HOUR_MS))
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
