"""Honest traffic that a platform records in an unusual way. Every docstring says why it must be spared."""

from __future__ import annotations

from collections.abc import Iterator

from detectors.lab.scenarios.honest import giveaway, news_spike, school_nat
from detectors.lab.scenarios.scene import Scene, overlay, restamped
from detectors.lab.traffic.platform import Labelled
from detectors.windows.scales import HOUR_MS, MINUTE_MS

IN_FEED = 0.2
"""Of likes, those given in a feed."""


def feed_likes(scene: Scene, background: Iterator[list[Labelled]]) -> Iterator[list[Labelled]]:
    """A platform on which a fifth of the likes are given in a feed, by people who open nothing, and posts that hundreds
    like there. Spare it: where everybody can like without a view, nobody is odd who does."""
    people, made = scene.platform.people, []
    for target in scene.targets(scene.some(4)):
        start = scene.moment(2 * HOUR_MS)
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
    """A player that tells of a view when it has ended, and on such a platform news, a giveaway and classes: likes come
    before their views, and of a crowd that has just come only those are known who have left. Spare it: every crowd
    begins like this there."""

    def ended(labelled: Labelled) -> Labelled:
        labelled.event.ts += labelled.event.watch_ms or 0
        return labelled

    return restamped(overlay(background, [*news_spike(scene), *giveaway(scene), *school_nat(scene)]), ended)


OUTAGE_MS = 25 * MINUTE_MS
CATCH_UP_MS = 4 * MINUTE_MS


def outage(scene: Scene, background: Iterator[list[Labelled]]) -> Iterator[list[Labelled]]:
    """Nothing for twenty-five minutes, then everything at once, stamped when it got through: every target
    surges in the same minutes. Spare it: the crowd is the platform's own, only late."""
    began = scene.moment(2 * HOUR_MS)
    back = began + OUTAGE_MS

    def caught_up(labelled: Labelled) -> Labelled:
        if not began <= labelled.event.ts < back:
            return labelled
        labelled.event.ts = back + int(scene.rng.random() * CATCH_UP_MS)
        return labelled._replace(scenario=scene.scenario)

    return restamped(background, caught_up)
