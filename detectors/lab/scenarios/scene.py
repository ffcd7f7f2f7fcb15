"""The context of a scenario, with functions that choose targets and times, and make crowds and bought accounts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from detectors.events.event import Event, MetricName
from detectors.lab.traffic.platform import Labelled, Platform
from detectors.lab.traffic.population import COUNTRIES, MOBILE_SHARE, Ints, Person, home_address, rhythm
from detectors.lab.traffic.stream import FOLLOWS_PER_VIEW, LIKES_PER_VIEW
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS

LAGS: tuple[tuple[MetricName, float, float], ...] = (
    ("like", LIKES_PER_VIEW, 45_000),
    ("follow", FOLLOWS_PER_VIEW, 90_000),
)
"""Acts after a view: metric, number per view, and median delay in ms."""

VIEWS_EACH_MAX = 3.0
"""Most views of a crowd per person of its home country. On a small platform a country may have a single person, who
does not watch one video a thousand times in an evening. Further views come from other countries."""

BASE_RATE = 0.01
"""Default share of artificial events in a run."""


@dataclass(slots=True)
class Scene:
    """The context of one scenario in one run.

    The run begins at ``start_ms``; the scenario's events are between ``from_ms`` and ``end_ms``. ``budget`` is the
    number of artificial events by the base rate. ``strength`` scales the size of each attack (so that there are fewer),
    or of an honest crowd.
    """

    scenario: str
    platform: Platform
    rng: np.random.Generator
    start_ms: int
    from_ms: int
    end_ms: int
    budget: int
    strength: float = 1.0
    _taken: set[int] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=count)

    # ---------------------------------------------------------------- where and when

    def targets(self, amount: int, low: float = 0.02, high: float = 0.9) -> list[int]:
        """Unused targets whose popularity rank is between two shares of the catalogue."""
        ranked = self.platform.ranked()
        open_ = [int(t) for t in ranked[int(low * len(ranked)) : int(high * len(ranked))] if int(t) not in self._taken]
        chosen = self.rng.choice(open_, min(amount, len(open_)), replace=False)
        self._taken.update(int(t) for t in chosen)
        return [int(t) for t in chosen]

    def orders(self, typical: float, spread: float = 0.5) -> list[int]:
        """Sizes of the attacks, log-normal around ``typical`` × strength; their sum is the budget."""
        typical = max(1.0, typical * self.strength)
        amount = max(1, round(self.budget / (typical * np.exp(spread**2 / 2))))
        sizes = self.rng.lognormal(0.0, spread, amount)
        return [max(1, round(s)) for s in sizes / sizes.sum() * self.budget]

    def with_hourly(
        self,
        background: Iterator[list[Labelled]],
        hour: Callable[[int], Iterable[Labelled]],
        change: Callable[[list[Labelled]], Iterable[Labelled]],
    ) -> Generator[list[Labelled], None, list[Labelled]]:
        """The changed chunks of a background, merged with the events that ``hour`` makes for each hour of the run.

        Returns the events that come after the last chunk.
        """
        pending: list[Labelled] = []
        at = self.start_ms
        for chunk in background:
            last = chunk[-1].event.ts
            while at <= last:
                pending += hour(at)
                at += HOUR_MS
            pending.sort(key=time_of)
            ready = bisect_right(pending, last, key=time_of)
            merged = sorted([*change(chunk), *pending[:ready]], key=time_of)
            pending = pending[ready:]
            if merged:
                yield merged
        return pending

    def crowd_count(self, amount: int) -> int:
        """Number of honest crowds: ``amount``, or fewer in proportion if the budget is below 6,000 events."""
        return max(1, round(amount * min(1.0, self.budget / 6000)))

    def size(self, typical: float) -> int:
        """Size of an honest crowd: log-normal around ``typical`` × strength."""
        return max(1, round(typical * self.strength * float(self.rng.lognormal(0.0, 0.35))))

    def start_time(self, span_ms: float) -> int:
        """A random start such that ``span_ms`` ends before the scenario does."""
        latest = max(self.from_ms, int(self.end_ms - span_ms - 10 * MINUTE_MS))
        return int(self.rng.integers(self.from_ms, latest + 1))

    def spread_out(self, amount: int, start_ms: int, span_ms: float) -> Ints:
        """Uniform random times over a span, sorted."""
        times: Ints = start_ms + (self.rng.random(amount) * span_ms).astype(np.int64)
        return np.sort(times)

    def flash(self, amount: int, start_ms: int, rise_ms: float, fade_ms: float) -> Ints:
        """Sorted times of a crowd that rises within ``rise_ms`` and fades with ``fade_ms``, up to the scenario's
        end."""
        waits = self.rng.exponential(rise_ms, amount) + self.rng.exponential(fade_ms, amount)
        times: Ints = np.sort(start_ms + waits.astype(np.int64))
        return times[times < self.end_ms]

    def by_rhythm(self, amount: int, start_ms: int, span_ms: float, countries: Ints) -> Ints:
        """Times over a span by the daily rhythm of each country, in the order of ``countries``."""
        hours = np.arange(start_ms, start_ms + int(span_ms), HOUR_MS)
        table = np.array([rhythm(np.arange(len(COUNTRIES)), int(h) + HOUR_MS // 2) for h in hours])
        cumulative = np.cumsum(table, axis=0) / table.sum(axis=0)
        chosen = [
            int(np.searchsorted(cumulative[:, c], u)) for c, u in zip(countries, self.rng.random(amount), strict=True)
        ]
        times: Ints = hours[np.minimum(chosen, len(hours) - 1)] + self.rng.integers(0, HOUR_MS, amount)
        return np.minimum(times, self.end_ms - 1)

    def countries(self, amount: int, home: int = -1, share: float = 0.0) -> Ints:
        """Country indexes by the platform's shares; a ``share`` of them is ``home``."""
        weights = np.array([w for _, w, _ in COUNTRIES])
        drawn = self.rng.choice(len(COUNTRIES), amount, p=weights / weights.sum())
        return np.where(self.rng.random(amount) < share, home if home >= 0 else drawn, drawn).astype(np.int64)

    # ---------------------------------------------------------------- who

    def guest(self, like: Person) -> Person:
        """A visitor without an account, with the device and network of ``like``."""
        return like._replace(actor=f"{self.scenario[:3]}g{next(self._numbers):x}", created_at=-1)

    def account(self, *, ip: str, agent: str, country: str, age_days: tuple[float, float]) -> Person:
        """A new actor whose account age at ``from_ms`` is log-uniform between two numbers of days."""
        low, high = age_days
        age = np.exp(self.rng.uniform(np.log(low), np.log(high)))
        return Person(
            f"u{int(self.rng.integers(1 << 20, 1 << 40)):x}.{next(self._numbers)}",
            ip,
            agent,
            country,
            int(self.from_ms - age * DAY_MS),
        )

    def settled(self, amount: int) -> list[Person]:
        """People in home networks whose accounts are at least a year old and remain the same during the scenario."""
        people, found = self.platform.people, []
        for slot in self.rng.permutation(len(people)).tolist():
            who = people.person(slot, self.from_ms)
            if self.from_ms - who.created_at > 365 * DAY_MS and people.account(slot, self.end_ms)[0] == who.actor:
                found.append(who)
            if len(found) == amount:
                break
        return found

    def hosting_networks(self, amount: int) -> list[str]:
        """/24 prefixes of rented servers, in address blocks without households."""
        parts = ((185, 193), (0, 256), (0, 256))
        return [".".join(str(self.rng.integers(*part)) for part in parts) for _ in range(amount)]

    def host_in(self, network: str) -> str:
        """An address in a /24 prefix."""
        return f"{network}.{int(self.rng.integers(1, 255))}"

    def proxy(self) -> tuple[str, str]:
        """Address and country of a household connection used as a proxy. Countries with cheap labour have more."""
        supply = np.array(
            [w * (2.0 if code in ("IN", "BR", "ID", "PH", "VN", "EG", "BD") else 1.0) for code, w, _ in COUNTRIES]
        )
        country = int(self.rng.choice(len(COUNTRIES), p=supply / supply.sum()))
        return home_address(self.rng, country), COUNTRIES[country][0]

    def platform_agent(self) -> str:
        """A user agent of the platform's mix."""
        people = self.platform.people
        return str(people.agent[int(self.rng.integers(0, len(people)))])

    # ---------------------------------------------------------------- what

    def event(
        self,
        ts: int,
        who: Person,
        target: int | str,
        metric: MetricName = "view",
        *,
        watch_ms: int | None = None,
        duration_ms: int | None = None,
        referrer: str | None = None,
        artificial: bool = True,
        undo: bool = False,
    ) -> Labelled:
        """One event of this scenario. ``target`` is an index of the platform, or the id of a new target."""
        known = not isinstance(target, str)
        if metric == "view" and known and duration_ms is None:
            duration_ms = int(self.platform.duration_ms[int(target)])
        if watch_ms is not None and duration_ms is not None:
            watch_ms = min(watch_ms, duration_ms)
        made = Event(
            ts=int(ts),
            actor=who.actor,
            target=self.platform.names[int(target)] if known else str(target),
            metric=metric,
            id=f"{self.scenario}-{next(self._numbers):x}",
            owner=self.platform.owners[int(target)] if known else None,
            ip=who.ip or None,
            user_agent=who.agent or None,
            session=f"{who.actor}-{ts // HOUR_MS % 1000}",
            watch_ms=None if watch_ms is None else max(0, int(watch_ms)),
            duration_ms=duration_ms if metric == "view" else None,
            referrer=referrer,
            country=who.country or None,
            actor_created_at=None if who.created_at < 0 else who.created_at,
            undo=undo,
        )
        return Labelled(made, self.scenario, artificial)

    def crowd(
        self,
        target: int,
        times: Ints,
        *,
        home_share: float = 0.5,
        country: int | None = None,
        guests: float = 0.2,
        referrers: Iterable[str | None] = (),
        referred: float = 0.0,
        watch: float = 1.0,
        likes: float = 1.0,
        away: float = MOBILE_SHARE,
        as_target: str | None = None,
    ) -> list[Labelled]:
        """Events of honest people: views at ``times`` with usual watch times (scaled by ``watch``), likes and follows.

        Shares of the views: ``home_share`` from ``country`` (default: the target's home; fewer if the country is
        small), ``guests`` without an account, ``referred`` by one of ``referrers``, ``away`` over mobile carriers.
        ``likes`` scales interactions per view.
        """
        platform, rng = self.platform, self.rng
        n = len(times)
        home = int(platform.home[target]) if country is None else country
        slots = self._people_near(n, home, home_share)
        watches = platform.watch(rng, np.full(n, target)) * watch
        hosts = list(referrers)
        made: list[Labelled] = []
        place: int | str = target if as_target is None else as_target
        duration = int(platform.duration_ms[target])
        liked = set()
        for ts, slot, watch_time in zip(times.tolist(), slots.tolist(), watches.tolist(), strict=True):
            who = platform.people.person(slot, ts, mobile=bool(rng.random() < away))
            is_guest = rng.random() < guests
            if is_guest:
                who = self.guest(who)
            referrer = hosts[int(rng.integers(0, len(hosts)))] if rng.random() < referred else platform.referrer(rng)
            watch_ms = int(watch_time)
            view = self.event(
                ts, who, place, watch_ms=watch_ms, duration_ms=duration, referrer=referrer, artificial=False
            )
            made.append(view)
            if is_guest or slot in liked:
                continue
            acts = self._likes_and_follows(ts, who, place, likes=likes, appeal=platform.appeal[target])
            if acts:
                liked.add(slot)
            made += acts
        return made

    def _people_near(self, amount: int, home: int, share: float) -> Ints:
        """Slots of people, a ``share`` of them from one country, or fewer if it is small."""
        people = self.platform.people
        at_home = int(people.bounds[home + 1] - people.bounds[home])
        share = min(share, VIEWS_EACH_MAX * at_home / max(1, amount))
        return people.draw(self.rng, np.where(self.rng.random(amount) < share, home, -1))

    def _likes_and_follows(
        self, ts: int, who: Person, place: int | str, *, likes: float, appeal: float
    ) -> list[Labelled]:
        """A person's likes and follows after a view at ``ts``, at ``likes`` × ``appeal`` times the usual rate."""
        made = []
        for metric, ratio, lag_ms in LAGS:
            if self.rng.random() < ratio * likes * appeal:
                at = ts + int(self.rng.lognormal(np.log(lag_ms), 0.9))
                made.append(self.event(at, who, place, metric, artificial=False))
        return made


def overlay(background: Iterator[list[Labelled]], extra: list[Labelled]) -> Iterator[list[Labelled]]:
    """Background and a scenario's events as one stream, in order of time."""
    extra = sorted(extra, key=time_of)
    at = 0
    for chunk in background:
        last = chunk[-1].event.ts
        first_at = at
        while at < len(extra) and extra[at].event.ts <= last:
            at += 1
        yield sorted(chunk + extra[first_at:at], key=time_of) if at > first_at else chunk
    if at < len(extra):
        yield extra[at:]


def restamped(chunks: Iterator[list[Labelled]], restamp: Callable[[Labelled], Labelled]) -> Iterator[list[Labelled]]:
    """A stream with some events moved to a later time by ``restamp``, again in order of time."""
    pending: list[Labelled] = []
    for chunk in chunks:
        last = chunk[-1].event.ts
        pending = sorted([*pending, *map(restamp, chunk)], key=time_of)
        ready = bisect_right(pending, last, key=time_of)
        if ready:
            yield pending[:ready]
        pending = pending[ready:]
    if pending:
        yield pending


def time_of(labelled: Labelled) -> int:
    """Time of an event, in epoch ms."""
    return labelled.event.ts
