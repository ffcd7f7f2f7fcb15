"""A platform with channels, as background: follows name the channel, people come in visits, new accounts sign up daily.

Views and likes name the video, whose owner is the channel. The events of ``traffic`` are used, with their follows moved
to the channels; visits and sign-ups are added to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from detectors.events.event import MetricName
from detectors.lab.scenarios.scene import Scene
from detectors.lab.traffic.platform import Labelled
from detectors.lab.traffic.population import COUNTRIES, MOBILE_SHARE, Person, home_address, rhythm, world_rhythm
from detectors.lab.traffic.stream import FOLLOWS_PER_VIEW, LIKES_PER_VIEW
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS

CHANNELS_VOLUME = 1.35
"""Events of this background per event of the usual one."""

VISIT_VIEWS = 0.25
"""Views within visits per view of the usual background, whose people come for one video at a time."""
VIDEOS_PER_VISIT = 5.0
BINGE_SHARE, BINGE_VIDEOS = 0.03, (20, 60)
"""Share of visits that go on for hours, and the least and greatest number of their videos."""
AUTOPLAY_SHARE, COUNTDOWN_MS = 0.25, 5_000
"""Share of visits in which the player starts the next video by itself after a countdown, as television sets do."""
SAME_CHANNEL = 0.4
"""Share of next videos that are of the same channel."""
GUEST_VISITS = 0.3
"""Share of visits by people who are known by their session only."""

UNVIEWED_FOLLOWS = 0.15
"""Share of follows of a channel that was suggested, or that is known from elsewhere, without a view of its videos."""

SIGN_UPS_PER_DAY = 0.012
"""New accounts a day per person."""
LEAVE_FOR_GOOD = 1 / 3
"""Share of new accounts that never come back. Of mobile apps, 60 to 75 % of the users are not back on the next day."""
RETURN_SHARE = 0.6
"""Share of the days after the first on which a new account that stays comes again."""
ONE_ACT_SHARE = 0.2
"""Share of new accounts that register for one act (a follow, a like), and do it within minutes."""
SUGGESTED_SHARE = 0.35
"""Share of new accounts that follow one to three of the channels that the sign-up suggests. Of the followers of one
recorded account, 15 % had registered on the day on which they followed (``follow_order``)."""


def channels(scene: Scene, background: Iterator[list[Labelled]]) -> Iterator[list[Labelled]]:
    """The background of a platform with channels. It does not depend on what the scenario adds."""
    visitors = Visitors(scene, np.random.default_rng([scene.platform.seed, 6, scene.start_ms]))
    pending = yield from scene.with_hourly(background, visitors.hour, visitors.follow_channels)
    rest = [labelled for labelled in pending if labelled.event.ts < scene.end_ms]
    if rest:
        yield rest


class Visitors:
    """Makes visits: several videos one after the other by one person, with likes and follows."""

    def __init__(self, scene: Scene, rng: np.random.Generator, prefix: str = "") -> None:
        """``prefix`` of the ids of new accounts and visitors."""
        self._scene = scene
        self._rng = rng
        self._prefix = prefix
        platform = scene.platform
        self._sums = np.cumsum(platform.popularity)
        self._videos: dict[str, list[int]] = {}
        for video, owner in enumerate(platform.owners):
            self._videos.setdefault(owner, []).append(video)
        self._shares = np.array([weight for _, weight, _ in COUNTRIES])
        self._followed: set[tuple[str, str]] = set()
        self._liked: set[tuple[str, str]] = set()
        self._moved: dict[tuple[str, str], str] = {}
        """person and video of a follow of the usual background → the channel that was followed instead"""
        self._accounts = 0

    # ---------------------------------------------------------------- the background

    def hour(self, start_ms: int) -> list[Labelled]:
        """Visits that begin within an hour, and all that its new accounts ever do."""
        scene, rng = self._scene, self._rng
        people = scene.platform.people
        activity = world_rhythm(start_ms + HOUR_MS // 2) / 24.0
        visits = int(rng.poisson(VISIT_VIEWS / VIDEOS_PER_VISIT * scene.platform.views_per_day * activity))
        new = int(rng.poisson(SIGN_UPS_PER_DAY * len(people) * activity))
        shares = self._shares * rhythm(np.arange(len(COUNTRIES)), start_ms + HOUR_MS // 2)
        countries = rng.choice(len(COUNTRIES), visits + new, p=shares / shares.sum())
        slots = people.draw(rng, countries).tolist()
        times = (start_ms + rng.random(visits + new) * HOUR_MS).astype(np.int64).tolist()
        made: list[Labelled] = []
        for slot, ts in zip(slots[:visits], times[:visits], strict=True):
            who = people.person(slot, ts, mobile=bool(rng.random() < MOBILE_SHARE))
            if rng.random() < GUEST_VISITS:
                self._accounts += 1
                who = who._replace(actor=f"{self._prefix}v{self._accounts:x}", created_at=-1)
            made += self.visit(who, ts)
        for country, ts in zip(countries[visits:].tolist(), times[visits:], strict=True):
            made += self._newcomer(self.register(country, ts), ts)
        return [labelled._replace(scenario="") for labelled in made]

    def follow_channels(self, chunk: Iterable[Labelled]) -> Iterator[Labelled]:
        """A chunk of the usual background with its follows moved to channels. A second follow of one is left out."""
        owners = dict(zip(self._scene.platform.names, self._scene.platform.owners, strict=True))
        for labelled in chunk:
            event = labelled.event
            if event.metric != "follow":
                yield labelled
                continue
            act = (event.actor or "", event.target)
            if event.undo:
                channel = self._moved.pop(act, None)
                if channel is not None:
                    self._followed.discard((act[0], channel))
            else:
                suggested = self._rng.random() < UNVIEWED_FOLLOWS
                channel = self.suggested() if suggested else owners[event.target]
                if (act[0], channel) in self._followed:
                    channel = None
                else:
                    self._followed.add((act[0], channel))
                    self._moved[act] = channel
            if channel is not None:
                event.target, event.owner = channel, None
                yield labelled

    # ---------------------------------------------------------------- what people do

    def register(self, country: int, ts: int) -> Person:
        """A new account of somebody in a country, created at ``ts``."""
        people, rng = self._scene.platform.people, self._rng
        self._accounts += 1
        agent = people.agent[int(rng.integers(0, len(people)))]
        return Person(
            f"{self._prefix}n{self._accounts:x}", home_address(rng, country), agent, COUNTRIES[country][0], ts
        )

    def visit(self, who: Person, start_ms: int) -> list[Labelled]:
        """Videos one after the other from ``start_ms`` on."""
        scene, rng = self._scene, self._rng
        videos = int(rng.integers(*BINGE_VIDEOS) if rng.random() < BINGE_SHARE else rng.geometric(1 / VIDEOS_PER_VISIT))
        autoplay = rng.random() < AUTOPLAY_SHARE
        at, video, made = start_ms, -1, []
        for _ in range(videos):
            video = self._next_video(video)
            watch = int(scene.platform.watch(rng, np.array([video]))[0])
            if at >= scene.end_ms:
                break
            made += self.view(who, at, video, watch)
            ended = watch > 0.95 * scene.platform.duration_ms[video]
            pause = COUNTDOWN_MS + rng.exponential(800) if autoplay and ended else rng.lognormal(np.log(12_000), 1.0)
            at += watch + int(pause)
        return [labelled for labelled in made if labelled.event.ts < scene.end_ms]

    def view(self, who: Person, ts: int, video: int, watch: int, *, likes: float = 1.0) -> list[Labelled]:
        """A view, and perhaps a like and a follow of the channel, at ``likes`` times the usual rate."""
        scene, rng = self._scene, self._rng
        made = [
            scene.event(ts, who, video, watch_ms=watch, referrer=scene.platform.referrer(rng), artificial=False),
        ]
        if who.created_at < 0:
            return made
        appeal = likes * scene.platform.appeal[video]
        if rng.random() < LIKES_PER_VIEW * appeal:
            made += self.like(who, ts + int(rng.lognormal(np.log(45_000), 0.9)), video)
        if rng.random() < FOLLOWS_PER_VIEW * appeal:
            made += self.follow(who, ts + int(rng.lognormal(np.log(90_000), 0.9)), scene.platform.owners[video])
        return made

    def like(self, who: Person, ts: int, video: int) -> list[Labelled]:
        """A like of a video, or nothing if this person likes it already."""
        made = self._act(who, ts, self._scene.platform.names[video], "like")
        for labelled in made:
            labelled.event.owner = self._scene.platform.owners[video]
        return made

    def follow(self, who: Person, ts: int, channel: str) -> list[Labelled]:
        """A follow of a channel, or nothing if this person follows it already."""
        return self._act(who, ts, channel, "follow")

    def suggested(self) -> str:
        """A channel that the platform suggests: by popularity."""
        return self._scene.platform.owners[self._popular()]

    def later_days(self, who: Person, since_ms: int) -> list[Labelled]:
        """What a new account that stays does on the days after its first."""
        made: list[Labelled] = []
        for day in range(1, 1 + (self._scene.end_ms - since_ms) // DAY_MS):
            if self._rng.random() < RETURN_SHARE:
                made += self.visit(who, since_ms + day * DAY_MS + int(self._rng.normal(0, 4 * HOUR_MS)))
        return made

    # ---------------------------------------------------------------- private

    def _newcomer(self, who: Person, ts: int) -> list[Labelled]:
        rng = self._rng
        made: list[Labelled] = []
        at = ts + int(rng.lognormal(np.log(MINUTE_MS), 0.8))
        if rng.random() < ONE_ACT_SHARE:
            video = self._popular()
            act = self.like(who, at, video) if rng.random() < 0.5 else self.follow(who, at, self.suggested())
            made += act
        else:
            if rng.random() < SUGGESTED_SHARE:
                for _ in range(int(rng.integers(1, 4))):
                    made += self.follow(who, at, self.suggested())
                    at += int(rng.exponential(8_000))
            made += self.visit(who, at)
        if rng.random() >= LEAVE_FOR_GOOD:
            made += self.later_days(who, ts)
        return [labelled for labelled in made if labelled.event.ts < self._scene.end_ms]

    def _act(self, who: Person, ts: int, target: str, metric: MetricName) -> list[Labelled]:
        done = self._liked if metric == "like" else self._followed
        if (who.actor, target) in done or ts >= self._scene.end_ms:
            return []
        done.add((who.actor, target))
        return [self._scene.event(ts, who, target, metric, artificial=False)]

    def _popular(self) -> int:
        return min(int(np.searchsorted(self._sums, self._rng.random(), side="right")), len(self._sums) - 1)

    def _next_video(self, before: int) -> int:
        if before >= 0 and self._rng.random() < SAME_CHANNEL:
            channel = self._videos[self._scene.platform.owners[before]]
            return channel[int(self._rng.integers(0, len(channel)))]
        return self._popular()
