"""Groups of people who come to the same targets in the same minutes: paid rings, and honest groups."""

from __future__ import annotations

import numpy as np

from detectors.lab.scenarios.scene import Scene
from detectors.lab.traffic.platform import Labelled
from detectors.lab.traffic.population import Ints, Person
from detectors.windows.scales import HOUR_MS, MINUTE_MS

EVENTS_PER_ORDER = 10
"""Mean events of an order: seven views and some likes."""


def lockstep(scene: Scene) -> list[Labelled]:
    """Rings of fourteen of the platform's own people, with old accounts in home networks, who also have honest events.
    For each order half of a ring comes to a small target within two minutes, with usual watch times, and some like it.
    Then they go to the next order's target, all day. Must be flagged: the engagement is bought. On each target alone it
    looks like a few usual viewers; only the repeated meetings show it."""
    made: list[Labelled] = []
    orders = max(8, round(scene.budget / EVENTS_PER_ORDER))
    rings = max(1, round(orders / (80 * scene.strength)))
    members = [scene.settled(14) for _ in range(rings)]
    small = scene.targets(len(scene.platform.names), 0.3, 0.95)
    starts = np.sort(scene.from_ms + scene.rng.random(orders) * (scene.end_ms - scene.from_ms - HOUR_MS))
    left = scene.budget
    for place, start in enumerate(starts.tolist()):
        ring = members[place % rings]
        target = small[int(scene.rng.integers(0, len(small)))]
        order = max(1, round(left / (len(starts) - place)))
        views = max(1, round(0.7 * order))
        chosen = [ring[int(i)] for i in scene.rng.permutation(len(ring))[:views]]
        times = scene.spread_out(len(chosen), int(start), scene.rng.uniform(0.3, 2) * MINUTE_MS)
        watches = scene.platform.watch(scene.rng, np.full(len(chosen), target))
        for ts, who, watch in zip(times.tolist(), chosen, watches.tolist(), strict=True):
            made.append(scene.event(ts, who, target, watch_ms=int(watch), referrer=scene.platform.referrer(scene.rng)))
        for ts, who in list(zip(times.tolist(), chosen, strict=True))[: order - len(chosen)]:
            made.append(scene.event(ts + int(scene.rng.integers(5_000, 60_000)), who, target, "like"))
        left -= max(order, 0)
    return made


def release_fans(scene: Scene) -> list[Labelled]:
    """Channels with thirty fans who get notifications: most of them view each new upload within minutes, the same
    people every time, before anyone else. Must not be flagged: all targets have one owner, and a release is the reason
    to come."""
    made: list[Labelled] = []
    for channel in range(scene.crowd_count(6)):
        owner = f"bell{channel}"
        fans = scene.settled(30)
        models = scene.targets(12, 0.3, 0.9)
        starts = np.sort(scene.from_ms + scene.rng.random(len(models)) * (scene.end_ms - scene.from_ms - HOUR_MS))
        for upload, (model, start) in enumerate(zip(models, starts.tolist(), strict=True)):
            here = [who for who in fans if scene.rng.random() < 0.7]
            times = scene.flash(len(here), int(start), MINUTE_MS, 3 * MINUTE_MS)
            made += _views(scene, model, times, here, name=f"{owner}-{upload}", owner=owner)
    return made


def playlist_followers(scene: Scene) -> list[Labelled]:
    """A playlist that a dozen followers get every five hours: they start it within two minutes, and play the same
    little-known tracks of many owners at the same time for hours. Must not be flagged: one session is one occasion,
    however many tracks it has."""
    made: list[Labelled] = []
    for _ in range(scene.crowd_count(6)):
        followers = scene.settled(12)
        for hours in np.arange(1.0, (scene.end_ms - scene.from_ms) / HOUR_MS - 4.0, 5.0):
            sent = scene.from_ms + int(hours * HOUR_MS)
            tracks = scene.rng.permutation(scene.platform.ranked()[len(scene.platform.names) // 3 :])[:30].tolist()
            lengths = scene.rng.uniform(150_000, 280_000, len(tracks))
            here = [who for who in followers if scene.rng.random() < 0.8]
            waits = np.sort(scene.rng.random(len(here)) * 2 * MINUTE_MS).astype(np.int64)
            for track, length, before in zip(tracks, lengths, np.cumsum(lengths) - lengths, strict=True):
                times = sent + waits + int(before)
                stay = [bool(stays) for stays in scene.rng.random(len(here)) < 0.97]
                here = [who for who, stays in zip(here, stay, strict=True) if stays]
                waits, times = waits[stay], times[stay]
                made += _views(scene, int(track), times, here, length=int(length))
    return [labelled for labelled in made if labelled.event.ts < scene.end_ms]


def _views(
    scene: Scene,
    target: int,
    times: Ints,
    who: list[Person],
    *,
    name: str | None = None,
    owner: str | None = None,
    length: int | None = None,
) -> list[Labelled]:
    """Honest views of a target at these times, or of a new target ``name`` modelled on it."""
    duration = length if length is not None else int(scene.platform.duration_ms[target])
    watches = scene.platform.watch(scene.rng, np.full(len(times), target))
    made = []
    for ts, person, watch in zip(times.tolist(), who, watches.tolist(), strict=False):
        seen = duration if length is not None else int(watch)
        labelled = scene.event(
            ts,
            person,
            target if name is None else name,
            watch_ms=seen,
            duration_ms=duration,
            referrer=scene.platform.referrer(scene.rng),
            artificial=False,
        )
        if owner is not None:
            labelled.event.owner = owner
        made.append(labelled)
    return made
