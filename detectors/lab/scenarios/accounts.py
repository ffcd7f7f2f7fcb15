"""Crowds of new accounts: sold followers and likes, and people who really register.

What distinguishes them is what the accounts do besides. So these scenarios go on for the two days in which that is
decided. Each docstring says what is bought, or why nothing is.
"""

from __future__ import annotations

import numpy as np

from detectors.lab.scenarios.channels import Visitors
from detectors.lab.scenarios.likes_only import Members, like
from detectors.lab.scenarios.scene import Scene
from detectors.lab.traffic.platform import Labelled
from detectors.lab.traffic.population import Ints, Person
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS

SETTLED_MS = 54 * HOUR_MS
"""What must follow an incident: 48 hours of the accounts' conduct, and six until the case has closed and its settlement
is published."""
SETTLED_DAY_MS = SETTLED_MS + 12 * HOUR_MS
"""The same where a few likes of a day are found when the day has ended."""

FOLLOWERS = 1200
"""Followers of an order, as they are sold."""
LEAVE_FOR_GOOD = 1 / 3
"""Share of people who registered for one thing and never come back."""


def fresh_followers(scene: Scene) -> list[Labelled]:
    """Bought followers of channels, within four hours: accounts younger than twelve days, in household networks, with
    usual user agents. Seven of ten did nothing else, the others follow several customers of the same seller. Must be
    flagged: nobody has so many new accounts among the followers, none of them viewed a video of the channel, and they
    do nothing but follow."""
    made: list[Labelled] = []
    orders = max(2, round(scene.budget / (FOLLOWERS * scene.strength)))
    customers = _channels(scene, orders)
    sizes = [len(part) for part in np.array_split(np.arange(scene.budget), len(customers))]
    shared = [_fresh(scene) for _ in range(round(0.4 * sizes[0]))]
    for channel, size in zip(customers, sizes, strict=True):
        span = scene.rng.uniform(2, 4) * HOUR_MS
        again = [shared[int(i)] for i in scene.rng.permutation(len(shared))[: round(0.3 * size)]]
        bots = [*again, *(_fresh(scene) for _ in range(size - len(again)))]
        times = scene.spread_out(size, _early(scene, span), span).tolist()
        for place, ts in zip(scene.rng.permutation(size).tolist(), times, strict=True):
            made.append(scene.event(ts, bots[place], channel, "follow"))
    return made


def likes_only_fresh(scene: Scene) -> list[Labelled]:
    """Bought likes on a platform that sends only likes: orders of 15 to 90, within two to 24 hours, by accounts that
    were created within six hours of one day, on which the order begins or some days before. A fifth of them like a few
    popular items too, which hides them and is not labelled as artificial. Must be flagged: hardly anybody on this
    platform is that new, and nobody else's likes are by accounts of one day."""
    made: list[Labelled] = []
    sizes: list[int] = []
    left = scene.budget
    while left > 0:
        size = min(left, round(scene.strength * int(scene.rng.integers(15, 91))) or 1)
        size = left if left - size < 15 else size
        sizes.append(size)
        left -= size
    popular = scene.platform.ranked()[: max(10, len(scene.platform.names) // 20)]
    for item, size in zip(scene.targets(len(sizes), 0.1, 0.95), sizes, strict=False):
        span = scene.rng.uniform(2, 24) * HOUR_MS
        start = _early(scene, span, SETTLED_DAY_MS)
        days = 0.0 if scene.rng.random() < 0.5 else scene.rng.uniform(0, 5)
        batch = _batch(scene, size, int(start - days * DAY_MS), 6 * HOUR_MS)
        for ts, who in zip(scene.spread_out(size, start, span).tolist(), batch, strict=True):
            made.append(like(scene, ts, who, item, artificial=True))
            if scene.rng.random() < 0.2:
                others = scene.rng.permutation(popular)[: int(scene.rng.integers(1, 4))].tolist()
                at = ts + scene.rng.integers(20_000, HOUR_MS, len(others))
                made += [like(scene, int(t), who, other) for t, other in zip(at, others, strict=True) if other != item]
    return [labelled for labelled in made if labelled.event.ts < scene.end_ms]


def sign_up_wave(scene: Scene) -> list[Labelled]:
    """A star joins the platform, and a contest asks people to register and to follow a channel: each brings a thousand
    accounts created within the hour, most of which follow one channel within minutes, half of them before they view
    anything. A third never comes back; the others view, like and follow other things on that day and the next two. Must
    not be flagged: they are people in their home networks who registered to follow somebody. What is taken out at first
    must be given back."""
    visitors = Visitors(scene, scene.rng, "w")
    star, contest = scene.targets(2, 0.0, 0.3)
    made = _wave(scene, visitors, star, "star", scene.size(1200), viewers=0.45)
    return made + _wave(scene, visitors, contest, None, scene.size(600), viewers=0.7)


def likes_only_hits(scene: Scene) -> list[Labelled]:
    """Items on the front page of a news site, on a platform that sends only likes: hundreds like them within hours,
    nearly all with accounts of years that seldom like anything, and one in 25 registers for it. Must not be flagged:
    the accounts are as old as everybody's."""
    made: list[Labelled] = []
    members = Members(scene, scene.rng, "h")
    for item in scene.targets(scene.crowd_count(4), 0.1, 0.9):
        start = _early(scene, 12 * HOUR_MS, SETTLED_DAY_MS)
        for ts in scene.flash(scene.size(250), start, 20 * MINUTE_MS, 4 * HOUR_MS).tolist():
            if scene.rng.random() < 0.04:
                who = members.register(ts - int(scene.rng.exponential(10 * MINUTE_MS)))
                made += members.like(who, ts, item)
                if scene.rng.random() >= LEAVE_FOR_GOOD:
                    made += members.later_days(who, ts)
            else:
                who = scene.account(ip="", agent="", country="", age_days=(60, 4000))
                made.append(like(scene, ts, who, item))
    return made


def likes_only_course(scene: Scene) -> list[Labelled]:
    """Courses on a platform that sends only likes: a teacher asks twenty to 45 participants to register in the morning
    and to like the item of the course. A quarter have an account already. Of the new accounts a third never like
    anything else, the others go on with what the course shows and with what they find. Must not be flagged: they are
    people, who registered together because they sit together."""
    made: list[Labelled] = []
    members = Members(scene, scene.rng, "k")
    for item in scene.targets(3, 0.3, 0.95):
        start = _early(scene, 8 * HOUR_MS, SETTLED_DAY_MS)
        amount = int(scene.rng.integers(20, 46))
        shown = scene.targets(3, 0.1, 0.9)
        new = _batch(scene, amount, start, 2 * HOUR_MS)
        for ts, who in zip(scene.spread_out(amount, start, 3 * HOUR_MS).tolist(), new, strict=True):
            if scene.rng.random() < 0.25:
                old = scene.account(ip="", agent="", country="", age_days=(200, 3000))
                made += members.like(old, ts, item)
                continue
            made += members.like(who, ts, item)
            if scene.rng.random() < LEAVE_FOR_GOOD:
                continue
            at = ts
            for other in shown[: int(scene.rng.integers(1, 4))]:
                at += int(scene.rng.exponential(40 * MINUTE_MS))
                made += members.like(who, at, other)
            made += members.later_days(who, ts)
    return made


def _wave(
    scene: Scene, visitors: Visitors, video: int, newcomer: str | None, size: int, *, viewers: float
) -> list[Labelled]:
    """People who register, or are members already, to follow one channel: a new one, or that of ``video``."""
    platform, rng = scene.platform, scene.rng
    channel = platform.owners[video] if newcomer is None else newcomer
    name: int | str = video if newcomer is None else f"{newcomer}-first"
    start = _early(scene, 6 * HOUR_MS)
    made: list[Labelled] = []
    times = scene.flash(size, start, 5 * MINUTE_MS, 30 * MINUTE_MS).tolist()
    countries = scene.countries(len(times), int(platform.home[video]), 0.5).tolist()
    members = platform.people.people(rng, size // 4, start, distinct=True)
    crowd: list[tuple[int, Person, bool]] = [
        *((ts, visitors.register(country, ts), True) for ts, country in zip(times, countries, strict=True)),
        *zip(scene.spread_out(len(members), start, 4 * HOUR_MS).tolist(), members, [False] * len(members), strict=True),
    ]
    for ts, who, new in crowd:
        follows = ts + min(int(rng.lognormal(np.log(150_000), 1.0)), 6 * HOUR_MS)
        made += visitors.follow(who, follows, channel)
        if rng.random() < viewers:
            views = follows + int(rng.normal(0, 3 * MINUTE_MS))
            seen = _viewed(scene, who, max(ts + 5_000, views), video, name)
            for labelled in seen:
                labelled.event.owner = channel
            made += seen
        if new and rng.random() >= LEAVE_FOR_GOOD:
            made += _goes_on(scene, visitors, who, follows)
    return [labelled for labelled in made if labelled.event.ts < scene.end_ms]


def _viewed(scene: Scene, who: Person, ts: int, video: int, name: int | str) -> list[Labelled]:
    """A view of the channel's video, and sometimes a like."""
    watch = int(scene.platform.watch(scene.rng, np.array([video]))[0])
    duration = int(scene.platform.duration_ms[video])
    made = [scene.event(ts, who, name, watch_ms=watch, duration_ms=duration, artificial=False)]
    if scene.rng.random() < 0.15:
        made.append(scene.event(ts + watch, who, name, "like", artificial=False))
    return made


def _goes_on(scene: Scene, visitors: Visitors, who: Person, since_ms: int) -> list[Labelled]:
    """What a person does besides, within the two days after the follow: at least one visit."""
    made = visitors.later_days(who, since_ms)
    if scene.rng.random() < 0.6:
        made += visitors.visit(who, since_ms + int(scene.rng.exponential(5 * MINUTE_MS)))
    return made or visitors.visit(who, since_ms + int(scene.rng.uniform(2, 40) * HOUR_MS))


def _channels(scene: Scene, amount: int) -> list[str]:
    """Different channels, by one video of each."""
    found: list[str] = []
    while len(found) < amount:
        targets = scene.targets(1, 0.05, 0.8)
        if not targets:
            break
        channel = scene.platform.owners[targets[0]]
        if channel not in found:
            found.append(channel)
    return found


def _fresh(scene: Scene) -> Person:
    """An account younger than twelve days, in a household network."""
    ip, country = scene.proxy()
    return scene.account(ip=ip, agent=scene.platform_agent(), country=country, age_days=(0.2, 11.4))


def _batch(scene: Scene, amount: int, before_ms: int, span_ms: int) -> list[Person]:
    """Accounts created within a span of one day (UTC) that ends at ``before_ms`` or some hours before."""
    end = before_ms
    if end // DAY_MS != (end - span_ms) // DAY_MS:
        end = end // DAY_MS * DAY_MS
    made: Ints = scene.spread_out(amount, end - span_ms, span_ms)
    born = scene.rng.permutation(made).tolist()
    accounts = (scene.account(ip="", agent="", country="", age_days=(1, 2)) for _ in born)
    return [who._replace(created_at=at) for who, at in zip(accounts, born, strict=True)]


def _early(scene: Scene, span_ms: float, settled_ms: int = SETTLED_MS) -> int:
    """A random start such that what follows an incident of ``span_ms`` ends before the scenario does."""
    latest = max(scene.from_ms, int(scene.end_ms - settled_ms - span_ms))
    return int(scene.rng.integers(scene.from_ms, latest + 1))
