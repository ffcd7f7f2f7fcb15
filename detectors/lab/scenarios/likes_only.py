"""A platform that sends only likes, as background: who, what, when, and the age of the account, which is mostly old.

People like an item once. Few accounts are of the day. Modelled on stars of repositories, where the recorded orders are
of 15 to 90 accounts created on one day (Dagster 2023; StarScout, ICSE 2026).
"""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

import numpy as np

from detectors.lab.scenarios.scene import Scene
from detectors.lab.traffic.platform import Labelled
from detectors.lab.traffic.population import Person, world_rhythm
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS

LIKES_ONLY_VOLUME = 0.52
"""Events of this background per event of the usual one: views become likes, and an item is liked once."""

OLDER_DAYS = 500
YOUNG_PER_MILLE = 30
"""Accounts are this much older than on the usual platform, but for some of a thousand."""

SIGN_UPS_PER_LIKE = 0.001
"""New accounts per like: on such platforms people read without an account for years."""
LEAVE_FOR_GOOD = 1 / 3
"""Share of new accounts that never like anything after their first hour."""

SPREE_SHARE, SPREE_LIKES = 0.05, (8, 40)
"""Share of likes that are given one after the other by somebody who goes through a list, and how many by each."""


def likes_only(scene: Scene, background: Iterator[list[Labelled]]) -> Iterator[list[Labelled]]:
    """The background of a platform that sends only likes. It does not depend on what the scenario adds."""
    members = Members(scene, np.random.default_rng([scene.platform.seed, 7, scene.start_ms]))
    yield from scene.with_hourly(background, members.hour, members.likes_of)


def like(scene: Scene, ts: int, who: Person, item: int, *, artificial: bool = False) -> Labelled:
    """A like as this platform sends it: without network, user agent, session and country."""
    return bare(scene.event(ts, who, item, "like", artificial=artificial))


def bare(labelled: Labelled) -> Labelled:
    """An event as a like that has only who, what, whose, when, and when the account was created."""
    event = labelled.event
    event.metric = "like"
    event.ip = event.user_agent = event.session = event.referrer = event.country = None
    event.watch_ms = event.duration_ms = None
    return labelled


def settled_age(who: str, created_at: int) -> int:
    """When an account of the usual background was created on this platform."""
    return created_at if crc32(who.encode()) % 1000 < YOUNG_PER_MILLE else created_at - OLDER_DAYS * DAY_MS


class Members:
    """The people of the platform and what they like."""

    def __init__(self, scene: Scene, rng: np.random.Generator, prefix: str = "") -> None:
        """``prefix`` of the ids of new accounts."""
        self._scene = scene
        self._rng = rng
        self._prefix = prefix
        self._sums = np.cumsum(scene.platform.popularity)
        self._liked: set[tuple[str, str]] = set()
        self._accounts = 0

    def likes_of(self, chunk: list[Labelled]) -> Iterator[Labelled]:
        """The views of a chunk of the usual background as likes, each person and item once, visitors left out."""
        for labelled in chunk:
            event = labelled.event
            if event.metric != "view" or event.actor is None or event.actor_created_at is None:
                continue
            if (event.actor, event.target) not in self._liked:
                self._liked.add((event.actor, event.target))
                event.actor_created_at = settled_age(event.actor, event.actor_created_at)
                yield bare(labelled)

    def hour(self, start_ms: int) -> list[Labelled]:
        """Likes of sprees that begin within an hour, and all likes of the accounts that register in it."""
        scene, rng = self._scene, self._rng
        likes = scene.platform.views_per_day / 24.0 * world_rhythm(start_ms + HOUR_MS // 2)
        made: list[Labelled] = []
        for _ in range(int(rng.poisson(SPREE_SHARE * likes / (sum(SPREE_LIKES) / 2)))):
            (who,) = scene.platform.people.people(rng, 1, start_ms)
            who = who._replace(created_at=settled_age(who.actor, who.created_at))
            made += self.spree(who, start_ms + int(rng.random() * HOUR_MS), int(rng.integers(*SPREE_LIKES)))
        for _ in range(int(rng.poisson(SIGN_UPS_PER_LIKE * likes))):
            ts = start_ms + int(rng.random() * HOUR_MS)
            made += self.first_days(self.register(ts), ts + int(rng.exponential(5 * MINUTE_MS)))
        return [labelled._replace(scenario="") for labelled in made]

    def register(self, ts: int) -> Person:
        """A new account, created at ``ts``."""
        self._accounts += 1
        return Person(f"{self._prefix}n{self._accounts:x}", "", "", "", ts)

    def spree(self, who: Person, start_ms: int, likes: int) -> list[Labelled]:
        """Likes of items one after the other, seconds to a minute apart."""
        at, made = start_ms, []
        for _ in range(likes):
            made += self.like(who, at, self._popular())
            at += int(self._rng.lognormal(np.log(15_000), 0.8))
        return made

    def first_days(self, who: Person, ts: int) -> list[Labelled]:
        """What a new account likes: something at once, and on later days, if it comes back."""
        rng = self._rng
        made = self.spree(who, ts, int(rng.geometric(0.5)))
        return made if rng.random() < LEAVE_FOR_GOOD else made + self.later_days(who, ts)

    def later_days(self, who: Person, since_ms: int) -> list[Labelled]:
        """What a new account that stays likes on the days after its first."""
        made: list[Labelled] = []
        for day in range(1, 1 + (self._scene.end_ms - since_ms) // DAY_MS):
            if self._rng.random() < 0.6:
                at = since_ms + day * DAY_MS + int(self._rng.normal(0, 4 * HOUR_MS))
                made += self.spree(who, at, int(self._rng.geometric(0.4)))
        return made

    def like(self, who: Person, ts: int, item: int) -> list[Labelled]:
        """A like, or nothing if this person likes the item already."""
        name = self._scene.platform.names[item]
        if (who.actor, name) in self._liked or ts >= self._scene.end_ms:
            return []
        self._liked.add((who.actor, name))
        return [like(self._scene, ts, who, item)]

    def _popular(self) -> int:
        return min(int(np.searchsorted(self._sums, self._rng.random(), side="right")), len(self._sums) - 1)
