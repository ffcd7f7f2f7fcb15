"""Honest traffic that resembles an attack in some respect. Each docstring says why it must not be flagged."""

from __future__ import annotations

import numpy as np

from detectors.events.event import MetricName
from detectors.lab.scenarios.scene import Scene
from detectors.lab.traffic.agents import IN_APP_AGENTS, SCHOOL_AGENT
from detectors.lab.traffic.platform import Labelled
from detectors.lab.traffic.population import COUNTRIES, Person
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS


def news_spike(scene: Scene) -> list[Labelled]:
    """Breaking news: thousands of views within minutes, two thirds from one country, most referred by three news sites,
    many without an account. Must not be flagged: they are different people in their usual networks, with usual watch
    times."""
    made: list[Labelled] = []
    for target in scene.targets(scene.crowd_count(4)):
        start = scene.start_time(3 * HOUR_MS)
        times = scene.flash(scene.size(2500), start, 4 * MINUTE_MS, 70 * MINUTE_MS)
        hosts = [f"https://news{i}.example/story" for i in range(3)]
        made += scene.crowd(target, times, home_share=0.65, guests=0.4, referrers=hosts, referred=0.65, watch=0.8)
    return made


def celebrity_share(scene: Scene) -> list[Labelled]:
    """A celebrity posts the link: the steepest rise of all, one referrer, and the social app's own browser on phones,
    so few user agents and mostly carriers' networks. Must not be flagged: people watch and like as usual."""
    made: list[Labelled] = []
    for target in scene.targets(scene.crowd_count(4)):
        start = scene.start_time(2 * HOUR_MS)
        times = scene.flash(scene.size(3000), start, 1.5 * MINUTE_MS, 25 * MINUTE_MS)
        crowd = scene.crowd(
            target,
            times,
            home_share=0.4,
            guests=0.45,
            referrers=["https://social.example/"],
            referred=0.85,
            away=0.7,
            likes=1.4,
        )
        for labelled in crowd:
            if labelled.event.referrer == "https://social.example/" and scene.rng.random() < 0.6:
                agent = IN_APP_AGENTS[int(scene.rng.integers(0, len(IN_APP_AGENTS)))]
                labelled.event.user_agent = agent
        made += crowd
    return made


def premiere(scene: Scene) -> list[Labelled]:
    """An announced première: the fans come within the first minutes, watch to the end and like it. Must not be flagged:
    their accounts are old, and no crowd of a target likes and follows more."""
    made: list[Labelled] = []
    for target in scene.targets(scene.crowd_count(4), 0.0, 0.4):
        start = -(-scene.start_time(3 * HOUR_MS) // HOUR_MS) * HOUR_MS
        times = scene.flash(scene.size(2000), start, 0.7 * MINUTE_MS, 6 * MINUTE_MS)
        made += scene.crowd(
            target,
            times,
            guests=0.03,
            referrers=["https://stream.example/feed"],
            referred=0.7,
            watch=1.6,
            likes=3.0,
        )
    return made


def embedded_player(scene: Scene) -> list[Labelled]:
    """A big site embeds the player: for hours nearly all views have one referrer, few have an account, few watch long
    and few like. Must not be flagged: the site's readers are real people, in many different networks."""
    made: list[Labelled] = []
    for target in scene.targets(scene.crowd_count(4)):
        start = scene.start_time(5 * HOUR_MS)
        times = scene.spread_out(scene.size(2500), start, 4.5 * HOUR_MS)
        made += scene.crowd(
            target,
            times,
            home_share=0.7,
            guests=0.88,
            referrers=["https://bigsite.example/"],
            referred=0.96,
            watch=0.5,
            likes=0.15,
        )
    return made


def lapsed_accounts(scene: Scene) -> list[Labelled]:
    """A link in a forum, or in chats, which send no referrer: it brings people whose account is months or years old and
    never had an event here. Many leave early, few like. Must not be flagged: an inactive account is no robot, and a
    link brings many people who are only curious."""
    made: list[Labelled] = []
    for number, target in enumerate(scene.targets(scene.crowd_count(4))):
        start = scene.start_time(3 * HOUR_MS)
        times = scene.flash(scene.size(1200), start, 10 * MINUTE_MS, 50 * MINUTE_MS)
        crowd = scene.crowd(
            target,
            times,
            guests=0.15,
            referrers=["https://forum.example/" if number % 2 else None],
            referred=0.95,
            watch=0.6,
            likes=0.2,
        )
        returned: dict[str, Person] = {}
        for labelled in crowd:
            event = labelled.event
            if event.actor_created_at is not None:
                like = Person(event.actor or "", event.ip or "", event.user_agent or "", event.country or "", 0)
                if like.actor not in returned:
                    returned[like.actor] = scene.account(
                        ip=like.ip, agent=like.agent, country=like.country, age_days=(120, 2000)
                    )
                who = returned[like.actor]
                event.actor, event.actor_created_at = who.actor, who.created_at
        made += crowd
    return made


def paid_promotion(scene: Scene) -> list[Labelled]:
    """An honest advertisement: it brings real people, most from one country; most skip after five to seven seconds, few
    like. Must not be flagged: they are people in their home networks, and skipping is no fraud."""
    made: list[Labelled] = []
    for target in scene.targets(scene.crowd_count(4)):
        start = scene.start_time(6 * HOUR_MS)
        country = int(scene.countries(1)[0])
        times = scene.spread_out(scene.size(2000), start, 5 * HOUR_MS)
        crowd = scene.crowd(
            target,
            times,
            home_share=0.8,
            country=country,
            guests=0.3,
            referrers=["https://ads.example/c"],
            referred=0.95,
            likes=0.3,
        )
        for labelled in crowd:
            if labelled.event.watch_ms is not None and scene.rng.random() < 0.6:
                labelled.event.watch_ms = min(labelled.event.watch_ms, int(scene.rng.uniform(5_000, 7_000)))
        made += crowd
    return made


def school_nat(scene: Scene) -> list[Labelled]:
    """A school watches a lesson: hundreds of pupils behind one address, on the same managed laptops, within ten
    minutes. Must not be flagged: they are different people with usual watch times; one address is not one person."""
    made: list[Labelled] = []
    for target in scene.targets(scene.crowd_count(8)):
        start = scene.start_time(HOUR_MS)
        country = int(scene.platform.home[target])
        ip = f"{60 + country}.250.{int(scene.rng.integers(0, 256))}.10"
        pupils = scene.platform.people.people(scene.rng, scene.size(350), start, country=country, distinct=True)
        times = scene.spread_out(len(pupils), start, 10 * MINUTE_MS)
        watches = scene.platform.watch(scene.rng, np.full(len(pupils), target))
        for ts, who, watch in zip(times.tolist(), pupils, watches.tolist(), strict=True):
            here = who._replace(ip=ip, agent=SCHOOL_AGENT)
            if scene.rng.random() < 0.4:
                here = scene.guest(here)
            made.append(
                scene.event(ts, here, target, watch_ms=int(watch), referrer="https://lms.example/", artificial=False)
            )
    return made


def carrier_nat(scene: Scene) -> list[Labelled]:
    """A local hit in a country where most people use phones: nearly all views come from a dozen networks of three
    carriers. Must not be flagged: these are the usual networks of that country."""
    made: list[Labelled] = []
    places = [i for i, c in enumerate(COUNTRIES) if c[0] in ("IN", "ID", "PH", "BR", "EG")]
    for target in scene.targets(scene.crowd_count(4)):
        start = scene.start_time(3 * HOUR_MS)
        times = scene.flash(scene.size(1500), start, 8 * MINUTE_MS, 60 * MINUTE_MS)
        made += scene.crowd(
            target, times, home_share=0.97, country=int(scene.rng.choice(places)), away=0.97, guests=0.2
        )
    return made


def night_country(scene: Scene) -> list[Labelled]:
    """A large audience of one country whose evening is the platform's night, when most other people sleep. Must not be
    flagged: it is evening there, and they use their own country's networks."""
    made: list[Labelled] = []
    places = [i for i, c in enumerate(COUNTRIES) if c[0] in ("JP", "KR", "AU", "MY", "FI")]
    for target in scene.targets(scene.crowd_count(4)):
        country = int(scene.rng.choice(places))
        evening = (scene.from_ms // DAY_MS + 1) * DAY_MS + (19 - COUNTRIES[country][2]) % 24 * HOUR_MS
        while evening + 4 * HOUR_MS > scene.end_ms and evening - DAY_MS >= scene.from_ms:
            evening -= DAY_MS
        times = scene.spread_out(
            scene.size(1200), max(scene.from_ms, min(evening, scene.end_ms - 4 * HOUR_MS)), 4 * HOUR_MS
        )
        made += scene.crowd(target, times, home_share=0.97, country=country)
    return made


def new_target(scene: Scene) -> list[Labelled]:
    """The first day of a new target: it has no history, and its subscribers come at once. Must not be flagged: without
    a baseline there is no deviation."""
    made: list[Labelled] = []
    for index, model in enumerate(scene.targets(scene.crowd_count(8), 0.0, 0.3)):
        start = scene.start_time(8 * HOUR_MS)
        times = scene.flash(scene.size(900), start, 15 * MINUTE_MS, 3 * HOUR_MS)
        made += scene.crowd(model, times, as_target=f"new{index:03d}", guests=0.15, likes=1.5)
    return made


def giveaway(scene: Scene) -> list[Labelled]:
    """A prize for everyone who follows and likes: within the hour hundreds of people come, most with an account they
    registered for it, and half of them like or follow. Must not be flagged: they are people in their home networks,
    they watch, and they viewed the target before they liked it. New accounts and many likes are usual for a
    giveaway."""
    made: list[Labelled] = []
    for target in scene.targets(scene.crowd_count(4)):
        start = scene.start_time(2 * HOUR_MS)
        times = scene.flash(scene.size(700), start, 5 * MINUTE_MS, 40 * MINUTE_MS)
        people = scene.platform.people
        slots = people.draw(scene.rng, scene.countries(len(times), int(scene.platform.home[target]), 0.5))
        watches = scene.platform.watch(scene.rng, np.full(len(times), target))
        seen: set[str] = set()
        for ts, slot, watch in zip(times.tolist(), slots.tolist(), watches.tolist(), strict=True):
            who = people.person(slot, ts, mobile=bool(scene.rng.random() < 0.35))
            if scene.rng.random() < 0.65:
                who = scene.account(ip=who.ip, agent=who.agent, country=who.country, age_days=(0.01, 2))
            if who.actor in seen:
                continue
            seen.add(who.actor)
            made.append(scene.event(ts, who, target, watch_ms=int(watch), artificial=False))
            for metric in LIKE_AND_FOLLOW:
                if scene.rng.random() < 0.5:
                    at = ts + int(scene.rng.lognormal(np.log(45_000), 0.9))
                    made.append(scene.event(at, who, target, metric, artificial=False))
    return [labelled for labelled in made if labelled.event.ts < scene.end_ms]


LIKE_AND_FOLLOW: tuple[MetricName, ...] = ("like", "follow")
