"""Programs and people with many views of many targets each, so that no single target shows much."""

from __future__ import annotations

import numpy as np

from detectors.lab.scenarios.scene import Scene
from detectors.lab.traffic.platform import Labelled
from detectors.lab.traffic.population import Person
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS

SESSION_VIEWS_MIN = 30
"""Fewest views of a driven browser's session."""
CLIPS_MIN = 8
"""Fewest customers of a seller. On a small platform their clips are less similar."""
EXCHANGE_VIEWS_PER_DAY = 30
"""Views a day of a member of an exchange."""
MEMBERS_MIN = 12
REQUIRED_SECONDS = (30, 45, 60)
"""How long a view must last to earn its credit: 30 seconds where rules are published, more for more credits."""


def driven_browsers(scene: Scene) -> list[Labelled]:
    """Bought views by real browsers that programs drive: without an account, known by their session, in household
    networks, with usual user agents. Each session opens the clips of a seller's customers one after the other, in
    random order, for one to three hours. Half of the programs leave each clip at the same share of its length, half
    after the same time. Must be flagged: gaps and watch times are nearly constant for hours, which people's are not."""
    made: list[Labelled] = []
    left = scene.budget
    while left > 0:
        ip, country = scene.proxy()
        who = scene.guest(Person("", ip, scene.platform_agent(), country, -1))
        hours = scene.rng.uniform(1.0, 3.0) * scene.strength
        session = _driven(scene, who, _clips(scene), scene.start_time(hours * HOUR_MS), hours * HOUR_MS)
        rest = left - len(session)
        made += session[:left] if rest < 0 or rest >= SESSION_VIEWS_MIN else session
        left = 0 if rest < SESSION_VIEWS_MIN else rest
    return made


def view_exchange(scene: Scene) -> list[Labelled]:
    """Members of an exchange view each other's videos for credits: the platform's own people, in their own browsers and
    home networks, who also have honest events. Each views some thirty videos a day of many owners, in two or three
    sittings, for the time that the exchange requires and a few seconds more, then leaves. Must be flagged: the views
    are paid for. On each target alone they look like a few people who leave early."""
    made: list[Labelled] = []
    days = max(1, round((scene.end_ms - scene.from_ms) / DAY_MS))
    members = scene.settled(max(MEMBERS_MIN, round(scene.budget / (days * EXCHANGE_VIEWS_PER_DAY))))
    videos = scene.targets(2 * len(members), 0.3, 0.98)
    required = {video: 1000 * int(scene.rng.choice(REQUIRED_SECONDS)) for video in videos}
    shares = np.array_split(np.arange(scene.budget), len(members) * days)
    for day in range(days):
        for number, who in enumerate(members):
            others = [video for place, video in enumerate(videos) if place % len(members) != number]
            views = len(shares[day * len(members) + number])
            picked = [others[int(i)] for i in scene.rng.permutation(len(others))]
            todo = [picked[i % len(picked)] for i in range(views)]
            sittings = int(scene.rng.integers(2, 4))
            for part in np.array_split(np.arange(views), sittings):
                start = scene.from_ms + day * DAY_MS + int(scene.rng.random() * (DAY_MS - 2 * HOUR_MS))
                made += _sitting(scene, who, [todo[i] for i in part], start, required)
    return made


def _driven(scene: Scene, who: Person, clips: list[int], start_ms: int, span_ms: float) -> list[Labelled]:
    """One session of a driven browser."""
    rng, lengths = scene.rng, scene.platform.duration_ms
    by_share = bool(rng.random() < 0.5)
    share = rng.uniform(0.5, 0.95)
    stay = rng.uniform(0.5, 0.95) * min(int(lengths[clip]) for clip in clips)
    pause = rng.uniform(3_000, 10_000)
    at, made = float(start_ms), []
    while at < start_ms + span_ms:
        clip = clips[int(rng.integers(0, len(clips)))]
        watch = int(lengths[clip]) * rng.normal(share, 0.01) if by_share else stay * rng.normal(1.0, 0.01)
        referrer = None if rng.random() < 0.7 else scene.platform.referrers[2]
        made.append(scene.event(int(at), who, clip, watch_ms=int(watch), referrer=referrer))
        at += watch + pause + rng.exponential(700)
    return made


def _clips(scene: Scene) -> list[int]:
    """Clips of one to four minutes and of similar length, which one seller's customers ordered."""
    lengths = scene.platform.duration_ms
    shortest = scene.rng.uniform(MINUTE_MS, 2.5 * MINUTE_MS)
    similar = np.flatnonzero((lengths >= shortest) & (lengths <= 1.5 * shortest))
    if len(similar) < CLIPS_MIN:
        similar = np.flatnonzero((lengths >= 0.7 * shortest) & (lengths <= 2.5 * shortest))
    return [int(clip) for clip in scene.rng.permutation(similar)[:40]]


def _sitting(scene: Scene, who: Person, videos: list[int], start_ms: int, required: dict[int, int]) -> list[Labelled]:
    """Views of one sitting of a member: each for the required time and until the next is clicked."""
    at, made = start_ms, []
    for video in videos:
        watch = required[video] + int(scene.rng.lognormal(np.log(3_000), 0.7))
        made.append(scene.event(min(at, scene.end_ms - 1), who, video, watch_ms=watch))
        at += watch + int(scene.rng.lognormal(np.log(8_000), 0.7))
    return made
