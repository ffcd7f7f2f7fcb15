"""Artificial engagement that imitates honest traffic: home networks, the hours of the day, slow delivery, real crowds.

Each docstring says what differs from honest traffic, and so how it can be flagged.
"""

from __future__ import annotations

import numpy as np

from detectors.events.event import MetricName
from detectors.lab.scenarios.scene import Scene
from detectors.lab.traffic.agents import STALE_AGENTS
from detectors.lab.traffic.platform import Labelled
from detectors.lab.traffic.population import COUNTRIES, MOBILE_SHARE, Person
from detectors.lab.traffic.stream import FOLLOWS_PER_VIEW, LIKES_PER_VIEW
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS


def follower_drip(scene: Scene) -> list[Labelled]:
    """Bought followers delivered over days, so that no hour is a surge. Must be flagged: the accounts are new, in
    thirty proxy networks, at nearly even intervals."""
    made: list[Labelled] = []
    span = scene.end_ms - scene.from_ms - HOUR_MS
    sizes = scene.orders(80 * span / DAY_MS, 0.3)
    for target, size in zip(scene.targets(len(sizes)), sizes, strict=False):
        networks = scene.hosting_networks(30)
        gap = span / size
        for index in range(size):
            at = scene.from_ms + gap * (index + 0.5 + scene.rng.normal(0, 0.15))
            who = scene.account(
                ip=scene.host_in(networks[int(scene.rng.integers(0, 30))]),
                agent=scene.platform_agent(),
                country=COUNTRIES[int(scene.countries(1)[0])][0],
                age_days=(1, 20),
            )
            made.append(scene.event(int(at), who, target, "follow"))
    return made


def residential_proxies(scene: Scene) -> list[Labelled]:
    """Bought views through household connections all over the world, one or two per account, over one to four hours.
    Must be flagged: the accounts are days to weeks old, with few user agents, and most watch about half."""
    made: list[Labelled] = []
    sizes = scene.orders(600)
    desktop = [a for a in scene.platform.people.agent[:4000].tolist() if "Windows NT 10.0" in a]
    kit = sorted(set(desktop), key=desktop.count)[-5:]
    for target, size in zip(scene.targets(len(sizes)), sizes, strict=False):
        hours = scene.rng.uniform(1, 4)
        start = scene.start_time(hours * HOUR_MS)
        duration = int(scene.platform.duration_ms[target])
        accounts = []
        for _ in range(max(1, int(size / 1.4))):
            ip, country = scene.proxy()
            agent = kit[int(scene.rng.integers(0, len(kit)))]
            accounts.append(scene.account(ip=ip, agent=agent, country=country, age_days=(1, 90)))
        for ts in scene.spread_out(size, start, hours * HOUR_MS).tolist():
            who = accounts[int(scene.rng.integers(0, len(accounts)))]
            watch = int(duration * np.clip(scene.rng.normal(0.5, 0.15), 0.02, 1.0))
            made.append(scene.event(ts, who, target, watch_ms=watch, referrer=scene.platform.referrer(scene.rng)))
    return made


def reused_accounts(scene: Scene) -> list[Labelled]:
    """Bought views by one seller's stock of 150 accounts, used for order after order: accounts of months to years in
    household networks, with usual user agents, each order within the hour. Must be flagged: most watch about a third.
    From the second order on the accounts are known to the platform, so only their record is evidence of *who*."""
    made: list[Labelled] = []
    stock = []
    for _ in range(150):
        ip, country = scene.proxy()
        stock.append(scene.account(ip=ip, agent=scene.platform_agent(), country=country, age_days=(60, 700)))
    sizes = scene.orders(60, 0.3)
    for target, size in zip(scene.targets(len(sizes)), sizes, strict=False):
        start = scene.start_time(HOUR_MS)
        duration = int(scene.platform.duration_ms[target])
        serving = scene.rng.permutation(len(stock))[:size].tolist()
        times = scene.spread_out(len(serving), start, scene.rng.uniform(0.3, 1.0) * HOUR_MS).tolist()
        for ts, number in zip(times, serving, strict=True):
            watch = int(duration * np.clip(scene.rng.normal(0.33, 0.1), 0.02, 0.9))
            event = scene.event(ts, stock[number], target, watch_ms=watch, referrer=scene.platform.referrer(scene.rng))
            made.append(event)
    return made


def even_delivery(scene: Scene) -> list[Labelled]:
    """Bought views at even intervals for hours, each by another account, with the networks, user agents and referrers
    of the platform's people. Watch times are usual, and as many like and follow as usual. Must be flagged: the accounts
    are new, and the intervals are too even."""
    made: list[Labelled] = []
    rng, people = scene.rng, scene.platform.people
    sizes = scene.orders(400)
    acts: tuple[tuple[MetricName, float], ...] = (
        ("like", ACTS_PER_ACCOUNT * LIKES_PER_VIEW),
        ("follow", ACTS_PER_ACCOUNT * FOLLOWS_PER_VIEW),
    )
    for target, size in zip(scene.targets(len(sizes)), sizes, strict=False):
        span = rng.uniform(3, 8) * HOUR_MS
        start = scene.start_time(span)
        views = max(1, round(size / (1.0 + sum(rate for _, rate in acts))))
        gap = span / views
        slots = people.draw(rng, scene.countries(views, int(scene.platform.home[target]), 0.5))
        watches = scene.platform.watch(rng, np.full(views, target))
        for place, (slot, watch) in enumerate(zip(slots.tolist(), watches.tolist(), strict=True)):
            ts = int(start + gap * (place + 0.5 + rng.normal(0, 0.05)))
            like = people.person(slot, ts, mobile=bool(rng.random() < MOBILE_SHARE))
            who = scene.account(ip=like.ip, agent=like.agent, country=like.country, age_days=(0.5, 25))
            made.append(scene.event(ts, who, target, watch_ms=int(watch), referrer=scene.platform.referrer(rng)))
            for metric, rate in acts:
                if rng.random() < rate:
                    made.append(scene.event(ts + int(rng.lognormal(np.log(45_000), 0.9)), who, target, metric))
    return made


ACTS_PER_ACCOUNT = 2.0
"""Likes per account divided by likes per view: honest views are also by visitors and returning people."""


def mimic(scene: Scene) -> list[Labelled]:
    """Bought views that copy the platform's hours, countries, networks, user agents and referrers: one to three times
    the target's own views over half a day or more. Must be flagged: the accounts have no other events, watch times are
    the platform's average and not those of this video, and nobody likes or follows."""
    made: list[Labelled] = []
    people = scene.platform.people
    sizes = scene.orders(700)
    for target, size in zip(scene.targets(len(sizes), 0.05, 0.6), sizes, strict=False):
        span = min(scene.end_ms - scene.from_ms - HOUR_MS, scene.rng.uniform(10, 20) * HOUR_MS)
        start = scene.start_time(span)
        countries = scene.countries(size)
        slots = people.draw(scene.rng, countries)
        others = scene.rng.integers(0, len(scene.platform.names), size)
        watches = scene.platform.watch(scene.rng, others)
        accounts: list[Person] = []
        times = scene.by_rhythm(size, start, span, countries)
        for ts, slot, watch in zip(times.tolist(), slots.tolist(), watches.tolist(), strict=True):
            like = people.person(slot, ts, mobile=bool(scene.rng.random() < 0.35))
            who = scene.account(ip=like.ip, agent=like.agent, country=like.country, age_days=(30, 400))
            if accounts and scene.rng.random() < 0.25:
                who = accounts[int(scene.rng.integers(0, len(accounts)))]
            accounts.append(who)
            made.append(scene.event(ts, who, target, watch_ms=watch, referrer=scene.platform.referrer(scene.rng)))
    return made


def slow_drip(scene: Scene) -> list[Labelled]:
    """A bought order over days: as many views as the target has of its own, day and night. Each account makes a few
    views a day, for several customers. Must be flagged: the accounts come from a hundred proxy networks, watch oddly
    and do not like, on every day."""
    made: list[Labelled] = []
    span = scene.end_ms - scene.from_ms - HOUR_MS
    networks = scene.hosting_networks(100)
    bots = [
        scene.account(
            ip=scene.host_in(networks[i % 100]),
            agent=scene.platform_agent(),
            country=COUNTRIES[int(scene.countries(1)[0])][0],
            age_days=(3, 200),
        )
        for i in range(max(20, int(scene.budget / max(1.0, span / DAY_MS) / 5)))
    ]
    sizes = scene.orders(250 * span / DAY_MS, 0.3)
    for target, size in zip(scene.targets(len(sizes), 0.02, 0.3), sizes, strict=False):
        duration = int(scene.platform.duration_ms[target])
        for ts in scene.spread_out(size, scene.from_ms, span).tolist():
            who = bots[int(scene.rng.integers(0, len(bots)))]
            watch = int(duration * scene.rng.uniform(0.3, 0.9))
            made.append(scene.event(ts, who, target, watch_ms=watch, referrer=scene.platform.referrer(scene.rng)))
    return made


def sleepers(scene: Scene) -> list[Labelled]:
    """Old accounts that view various targets for a day like usual people, then all come to one target within the hour.
    Must be flagged: the views of that target are bought, and watch times are odd. Their earlier views are camouflage
    and not labelled as artificial."""
    made: list[Labelled] = []
    sizes = scene.orders(500)
    for target, size in zip(scene.targets(len(sizes)), sizes, strict=False):
        start = scene.start_time(HOUR_MS)
        accounts = []
        for _ in range(max(3, int(size / 1.2))):
            ip, country = scene.proxy()
            who = scene.account(ip=ip, agent=scene.platform_agent(), country=country, age_days=(200, 2000))
            accounts.append(who)
            for _ in range(int(scene.rng.poisson(2.0))):
                other = int(scene.platform.people.draw(scene.rng, np.array([-1]))[0]) % len(scene.platform.names)
                at = int(scene.rng.uniform(scene.start_ms, start))
                watch = int(scene.platform.watch(scene.rng, np.array([other]))[0])
                referrer = scene.platform.referrer(scene.rng)
                made.append(scene.event(at, who, other, watch_ms=watch, referrer=referrer, artificial=False))
        duration = int(scene.platform.duration_ms[target])
        for ts in scene.spread_out(size, start, scene.rng.uniform(20, 55) * MINUTE_MS).tolist():
            who = accounts[int(scene.rng.integers(0, len(accounts)))]
            watch = int(duration * scene.rng.uniform(0.2, 0.6))
            made.append(scene.event(ts, who, target, watch_ms=watch, referrer=scene.platform.referrer(scene.rng)))
    return made


def members_likes(scene: Scene) -> list[Labelled]:
    """Bought likes by the platform's own people, whose accounts are hijacked or rented, within the hour. Must be
    flagged: nothing about the accounts is unusual, but none of them viewed the target."""
    made: list[Labelled] = []
    sizes = scene.orders(150)
    for target, size in zip(scene.targets(len(sizes)), sizes, strict=False):
        start = scene.start_time(HOUR_MS)
        times = scene.spread_out(size, start, scene.rng.uniform(15, 50) * MINUTE_MS).tolist()
        members = scene.platform.people.people(scene.rng, size, start, distinct=True)
        made += [scene.event(ts, who, target, "like") for ts, who in zip(times, members, strict=True)]
    return made


def hidden_in_hit(scene: Scene) -> list[Labelled]:
    """Bought views added to a real hit of twice their number: from hosting and household networks, with outdated and
    current user agents. Must be flagged: the bought accounts are new and leave after seconds. The hit is honest."""
    made: list[Labelled] = []
    sizes = scene.orders(900)
    for target, size in zip(scene.targets(len(sizes)), sizes, strict=False):
        start = scene.start_time(2 * HOUR_MS)
        host = [scene.platform.referrers[int(scene.rng.integers(4, 30))]]
        times = scene.flash(2 * size, start, 6 * MINUTE_MS, 40 * MINUTE_MS)
        made += scene.crowd(target, times, referrers=host, referred=0.5, guests=0.28)
        networks = scene.hosting_networks(25)
        accounts = []
        for index in range(max(2, int(size / 1.5))):
            ip, country = scene.proxy()
            if index % 2:
                ip = scene.host_in(networks[index % 25])
            agent = scene.platform_agent() if index % 3 else STALE_AGENTS[index % len(STALE_AGENTS)]
            accounts.append(scene.account(ip=ip, agent=agent, country=country, age_days=(1, 60)))
        at = scene.spread_out(size, start + 10 * MINUTE_MS, 30 * MINUTE_MS)
        for ts in at.tolist():
            who = accounts[int(scene.rng.integers(0, len(accounts)))]
            watch = int(scene.rng.uniform(3_000, 25_000))
            made.append(scene.event(ts, who, target, watch_ms=watch, referrer=host[0]))
    return made


def poisoning(scene: Scene) -> list[Labelled]:
    """Bought views that grow slowly by the hour, so that the audit learns the higher level as normal. Must be flagged:
    thirty rented networks, four outdated user agents, accounts of weeks."""
    made: list[Labelled] = []
    span = scene.end_ms - scene.from_ms - HOUR_MS
    sizes = scene.orders(500 * span / DAY_MS, 0.3)
    for target, size in zip(scene.targets(len(sizes), 0.05, 0.5), sizes, strict=False):
        networks = scene.hosting_networks(30)
        bots = [
            scene.account(
                ip=scene.host_in(networks[i % 30]),
                agent=STALE_AGENTS[i % 4],
                country=COUNTRIES[int(scene.countries(1)[0])][0],
                age_days=(2, 45),
            )
            for i in range(max(10, size // 8))
        ]
        growth = 3.0  # e-foldings from the first hour to the last
        places = np.log1p(scene.rng.random(size) * (np.exp(growth) - 1.0)) / growth
        for ts in np.sort(scene.from_ms + (places * span).astype(np.int64)).tolist():
            who = bots[int(scene.rng.integers(0, len(bots)))]
            made.append(scene.event(ts, who, target, watch_ms=int(scene.rng.uniform(4_000, 30_000))))
    return made
