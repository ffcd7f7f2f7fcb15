"""Honest traffic that the platform records in an unusual way. Each docstring says why it must not be flagged."""

from __future__ import annotations

from collections.abc import Iterator

from detectors.lab.scenarios.honest import giveaway, news_spike, school_nat
from detectors.lab.scenarios.scene import Scene, overlay, restamped
from detectors.lab.traffic.platform import Labelled
from detectors.windows.scales import HOUR_MS, MINUTE_MS

IN_FEED = 0.2
"""Share of the likes that are given in a feed."""


def feed_likes(scene: Scene, background: Iterator[list[Labelled]]) -> Iterator[list[Labelled]]:
    """A platform where a fifth of the likes are given in a feed, by people who do not open the target, and posts that
    hundreds of people like there. Must not be flagged: likes without views are usual on this platform."""
    people, made = scene.platform.people, []
    for target in scene.targets(scene.crowd_count(4)):
        start = scene.start_time(2 * HOUR_MS)
        times = scene.flash(scene.size(250), start, 5 * MINUTE_MS, 40 * MINUTE_MS).tolist()
        fans = people.people(scene.rng, len(times), start, distinct=True)
        made += [scene.event(ts, who, target, "like", artificial=False) for ts, who in zip(times, fans, strict=True)]

    def in_a_feed() -> Iterator[list[Labelled]]:
        for chunk in background:
            for labelled in chunk:
                event = labelled.event
                if event.metric == "like" and scene.rng.random() < IN_FEED:
                    (who,) = people.people(scene.rng, 1, event.ts)
                    event.actor, event.ip, event.user_agent, event.country = who.actor, who.ip, who.agent, who.country
                    event.actor_created_at, event.session = who.created_at, None
            yield chunk

    return overlay(in_a_feed(), [labelled for labelled in made if labelled.event.ts < scene.end_ms])


def ended_views(scene: Scene, background: Iterator[list[Labelled]]) -> Iterator[list[Labelled]]:
    """A player that emits a view when playback ends, with news, giveaways and school classes: likes arrive before their
    views, and of a new crowd only the people who left early are visible. Must not be flagged: every crowd begins like
    this on such a platform."""

    def ended(labelled: Labelled) -> Labelled:
        labelled.event.ts += labelled.event.watch_ms or 0
        return labelled

    return restamped(overlay(background, [*news_spike(scene), *giveaway(scene), *school_nat(scene)]), ended)


OUTAGE_MS = 25 * MINUTE_MS
CATCH_UP_MS = 4 * MINUTE_MS


def outage(scene: Scene, background: Iterator[list[Labelled]]) -> Iterator[list[Labelled]]:
    """An outage: no events for 25 minutes, then all of them within four minutes, with the time of their arrival. Every
    target surges at once. Must not be flagged: the crowd is the platform's usual one, only delayed."""
    began = scene.start_time(2 * HOUR_MS)
    back = began + OUTAGE_MS

    def caught_up(labelled: Labelled) -> Labelled:
        if not began <= labelled.event.ts < back:
            return labelled
        labelled.event.ts = back + int(scene.rng.random() * CATCH_UP_MS)
        return labelled._replace(scenario=scene.scenario)

    return restamped(background, caught_up)
