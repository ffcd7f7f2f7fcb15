"""Artificial engagement without disguise: cheap, fast, from few machines or new accounts.

Modelled on De Cristofaro et al. ("Paying for Likes?", IMC 2014: bot bursts, and farms that imitate people), Marciel et
al. (WWW 2016: own bots against five portals) and operators' reports on farms of headless browsers. Each docstring says
which evidence flags it.
"""

from __future__ import annotations

from detectors.lab.scenarios.scene import Scene
from detectors.lab.traffic.agents import SCRIPT_AGENTS, STALE_AGENTS
from detectors.lab.traffic.platform import Labelled
from detectors.lab.traffic.population import COUNTRIES, Ints, Person
from detectors.windows.scales import HOUR_MS, MINUTE_MS


def botnet_burst(scene: Scene) -> list[Labelled]:
    """Bought views within minutes. Must be flagged: accounts of days, a few dozen rented networks, outdated user
    agents, and watch times of seconds."""
    made: list[Labelled] = []
    for target, size in _ordered(scene, 700):
        start = scene.start_time(20 * MINUTE_MS)
        times = scene.spread_out(size, start, scene.rng.uniform(3, 15) * MINUTE_MS)
        bots = _bots(scene, max(2, size // 2), networks=int(scene.rng.integers(12, 40)), age_days=(0.2, 20))
        made += _views(scene, target, times, bots, (800, 6_000))
    return made


def datacentre_burst(scene: Scene) -> list[Labelled]:
    """Bought views by headless browsers in a data centre, each with a new visitor id. Must be flagged: two to six
    networks, user agents of scripts, and watch times below three seconds."""
    made: list[Labelled] = []
    for target, size in _ordered(scene, 600):
        start = scene.start_time(40 * MINUTE_MS)
        networks = scene.hosting_networks(int(scene.rng.integers(2, 7)))
        agent = SCRIPT_AGENTS[int(scene.rng.integers(0, len(SCRIPT_AGENTS)))]
        for ts in scene.spread_out(size, start, scene.rng.uniform(2, 30) * MINUTE_MS).tolist():
            who = Person("", scene.host_in(networks[int(scene.rng.integers(0, len(networks)))]), agent, "US", -1)
            made.append(scene.event(ts, scene.guest(who), target, watch_ms=int(scene.rng.uniform(0, 3_000))))
    return made


def click_farm(scene: Scene) -> list[Labelled]:
    """Bought views by phones on racks, operated by hand: the real app on a few models, accounts of months, a few likes.
    Must be flagged: each phone repeats, all use three networks of one carrier, and all watch little over half a minute,
    which is enough for the view to count."""
    made: list[Labelled] = []
    for target, size in _ordered(scene, 500):
        start = scene.start_time(80 * MINUTE_MS)
        country = int(scene.rng.choice([i for i, c in enumerate(COUNTRIES) if c[0] in ("BD", "VN", "ID", "PH", "EG")]))
        agents = [scene.platform_agent() for _ in range(6)]
        networks = [f"{100 + country}.200.{i}" for i in range(3)]
        phones = [
            scene.account(
                ip=scene.host_in(networks[i % 3]),
                agent=agents[i % 6],
                country=COUNTRIES[country][0],
                age_days=(40, 400),
            )
            for i in range(max(3, size // 5))
        ]
        for ts in scene.spread_out(size, start, scene.rng.uniform(25, 70) * MINUTE_MS).tolist():
            who = phones[int(scene.rng.integers(0, len(phones)))]
            made.append(scene.event(ts, who, target, watch_ms=int(scene.rng.normal(36_000, 4_000))))
            if scene.rng.random() < 0.05:
                made.append(scene.event(ts + 35_000, who, target, "like"))
    return made


def replay_loop(scene: Scene) -> list[Labelled]:
    """Two to eight people who run players on repeat in many tabs for hours, from their home networks. Must be flagged:
    few actors, 31 seconds watched each time, even intervals."""
    made: list[Labelled] = []
    for target, size in _ordered(scene, 700):
        hours = scene.rng.uniform(3, 8)
        start = scene.start_time(hours * HOUR_MS)
        people = scene.platform.people.people(scene.rng, int(scene.rng.integers(2, 9)), start, distinct=True)
        gap = hours * HOUR_MS / (size / len(people))
        for who in people:
            at = start + scene.rng.uniform(0, gap)
            while at < start + hours * HOUR_MS:
                watch = int(31_000 + scene.rng.normal(0, 300))
                made.append(scene.event(int(at), who, target, watch_ms=watch, referrer=scene.platform.referrers[1]))
                at += gap * scene.rng.normal(1.0, 0.02)
    return made


def like_farm(scene: Scene) -> list[Labelled]:
    """Bought likes within half an hour. Must be flagged: no views precede them, the accounts are weeks old, and all
    come from 24 networks of one seller."""
    made: list[Labelled] = []
    for target, size in _ordered(scene, 150):
        start = scene.start_time(40 * MINUTE_MS)
        bots = _bots(scene, size, networks=24, age_days=(1, 60))
        times = scene.spread_out(size, start, scene.rng.uniform(8, 30) * MINUTE_MS)
        made += [scene.event(ts, who, target, "like") for ts, who in zip(times.tolist(), bots, strict=True)]
    return made


def follower_seller(scene: Scene) -> list[Labelled]:
    """Bought followers within the hour. Must be flagged: accounts without other events, created in one batch of three
    days, from sixty proxy networks."""
    made: list[Labelled] = []
    for target, size in _ordered(scene, 200):
        start = scene.start_time(70 * MINUTE_MS)
        batch = scene.rng.uniform(5, 90)
        bots = _bots(scene, size, networks=60, age_days=(batch, batch + 3))
        times = scene.spread_out(size, start, scene.rng.uniform(15, 60) * MINUTE_MS)
        made += [scene.event(ts, who, target, "follow") for ts, who in zip(times.tolist(), bots, strict=True)]
    return made


def views_with_likes(scene: Scene) -> list[Labelled]:
    """A more expensive order: views and likes by the same accounts at a plausible ratio, with diverse user agents, over
    one to two hours. Must be flagged: new accounts from eighty proxy networks, all watching about half."""
    made: list[Labelled] = []
    for target, size in _ordered(scene, 800):
        hours = scene.rng.uniform(0.7, 2.0)
        start = scene.start_time((hours + 0.2) * HOUR_MS)
        agents = [scene.platform_agent() for _ in range(60)]
        bots = _bots(scene, max(3, int(size / 1.3)), networks=80, age_days=(2, 120), agents=agents)
        duration = int(scene.platform.duration_ms[target])
        liked = set()
        for ts in scene.spread_out(size, start, hours * HOUR_MS).tolist():
            who = bots[int(scene.rng.integers(0, len(bots)))]
            watch = int(duration * scene.rng.normal(0.55, 0.08))
            made.append(scene.event(ts, who, target, watch_ms=watch, referrer=scene.platform.referrer(scene.rng)))
            if scene.rng.random() < 0.06 and who.actor not in liked:
                liked.add(who.actor)
                made.append(scene.event(ts + int(scene.rng.exponential(30_000)), who, target, "like"))
    return made


def sabotage(scene: Scene) -> list[Labelled]:
    """Views and followers of the cheapest kind that a rival buys for a popular target, so that it is penalised. Must be
    flagged: accounts of days from ten networks, watch times of seconds. The flag accuses the traffic, not the
    target."""
    made: list[Labelled] = []
    for target, size in zip(scene.targets(len(sizes := scene.orders(900)), 0.0, 0.15), sizes, strict=True):
        start = scene.start_time(40 * MINUTE_MS)
        bots = _bots(scene, max(2, size // 3), networks=10, age_days=(0.1, 5))
        follows = size // 8
        times = scene.spread_out(size - follows, start, scene.rng.uniform(5, 30) * MINUTE_MS)
        made += _views(scene, target, times, bots, (300, 3_000))
        at = scene.spread_out(follows, start, 20 * MINUTE_MS)
        made += [scene.event(ts, who, target, "follow") for ts, who in zip(at.tolist(), bots, strict=False)]
    return made


def several_orders(scene: Scene) -> list[Labelled]:
    """Three orders for one target at once: a burst by new accounts on rented servers, views through household
    connections by accounts of weeks for an hour, and a farm's likes. Must be flagged: each part has evidence of its
    own, and the estimate must cover all of them."""
    made: list[Labelled] = []
    for target, size in _ordered(scene, 900):
        start = scene.start_time(100 * MINUTE_MS)
        burst, homes, likes = size // 2, size - size // 2 - size // 8, size // 8
        bots = _bots(scene, max(2, burst // 2), networks=20, age_days=(0.5, 15))
        made += _views(scene, target, scene.spread_out(burst, start, 20 * MINUTE_MS), bots, (1_000, 6_000))
        for ts in scene.spread_out(homes, start + 10 * MINUTE_MS, HOUR_MS).tolist():
            ip, country = scene.proxy()
            who = scene.account(ip=ip, agent=scene.platform_agent(), country=country, age_days=(1, 60))
            made.append(scene.event(ts, who, target, watch_ms=int(scene.rng.uniform(3_000, 20_000))))
        farm = _bots(scene, likes, networks=24, age_days=(1, 60))
        at = scene.spread_out(likes, start, 40 * MINUTE_MS)
        made += [scene.event(ts, who, target, "like") for ts, who in zip(at.tolist(), farm, strict=True)]
    return made


def _ordered(scene: Scene, typical: float) -> list[tuple[int, int]]:
    sizes = scene.orders(typical)
    return list(zip(scene.targets(len(sizes)), sizes, strict=False))


def _bots(
    scene: Scene,
    amount: int,
    *,
    networks: int,
    age_days: tuple[float, float],
    agents: list[str] | None = None,
) -> list[Person]:
    prefixes = scene.hosting_networks(networks)
    kit = agents or [
        STALE_AGENTS[int(i)] for i in scene.rng.permutation(len(STALE_AGENTS))[: int(scene.rng.integers(2, 6))]
    ]
    claimed = [COUNTRIES[int(c)][0] for c in scene.countries(8)]
    return [
        scene.account(
            ip=scene.host_in(prefixes[i % networks]),
            agent=kit[i % len(kit)],
            country=claimed[i % 8],
            age_days=age_days,
        )
        for i in range(amount)
    ]


def _views(scene: Scene, target: int, times: Ints, bots: list[Person], watch_ms: tuple[float, float]) -> list[Labelled]:
    return [
        scene.event(
            ts,
            bots[int(scene.rng.integers(0, len(bots)))],
            target,
            watch_ms=int(scene.rng.uniform(*watch_ms)),
        )
        for ts in times.tolist()
    ]
