"""Generates a platform's honest events in chunks: views, likes and follows after them, and small hits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectors.events.event import METRICS, Event
from detectors.lab.traffic.population import COUNTRIES, MOBILE_SHARE, Floats, Ints, rhythm, world_rhythm
from detectors.windows.scales import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from detectors.lab.traffic.platform import Platform

CHUNK_EVENTS = 4000
CHUNK_MS = (10_000, 600_000)
"""Target size of a chunk in events, and the least and greatest span of a chunk in ms."""

LIKES_PER_VIEW = 0.045
FOLLOWS_PER_VIEW = 0.006
LIKE_LAG_MS = 45_000.0
FOLLOW_LAG_MS = 90_000.0
LAG_SPREAD = 0.9
"""Median and log-normal spread of the time from view to like or follow."""
UNDO_SHARE = 0.015
"""Share of likes and follows that are undone, after a median of 15 minutes."""
UNDO_LAG_MS = 900_000.0

GUEST_SHARE = 0.18
"""Share of views without an account: an id per visit, and no creation date."""
FAN_SHARE = 0.12
"""Share of views by the target's fans, who return to it."""
FAN_BIAS = 1.7
"""Exponent of a fan's rank, uniform^bias. A target has as many fans as fan views a day: the first fans return many
times a day, most less than once."""
REWATCH_SHARE = 0.03
"""Share of views that the actor repeats within minutes."""

HOUR_SHAPE = 12.0
"""Gamma shape of a target's hourly rate around its mean: hours vary by 29 % in addition to Poisson noise."""

HITS_PER_TARGET_DAY = 1 / 200
"""Small honest hits per target and day: a link is shared, and a crowd comes and fades."""

EXTERNAL_HOSTS = 140
DIRECT_SHARE, INTERNAL_SHARE = 0.30, 0.48
"""Shares of views without a referrer, and from the platform's own pages. The rest are from other hosts by a Zipf
law."""

VIEW, LIKE, FOLLOW = range(len(METRICS))


class Columns(NamedTuple):
    """Events as arrays of equal length, before they are converted to objects."""

    ts: Ints
    metric: Ints
    target: Ints
    slot: Ints
    guest: Ints
    """number of the visit, 0 for accounts"""
    referrer: Ints
    watch_ms: Ints
    away: Ints
    """1: over the mobile carrier and with the second user agent"""
    undo: Ints

    def where(self, index: Ints) -> Columns:
        """The rows at ``index``."""
        return Columns(*(column[index] for column in self))


class Stream:
    """A platform's events from a start time on. Its state is what must persist between chunks."""

    def __init__(self, platform: Platform, start_ms: int) -> None:
        self._platform = platform
        self._start = start_ms
        self._rng = np.random.default_rng([platform.seed, 2, start_ms])
        self._liked: set[int] = set()
        """pairs of actor and target with a like or follow, which is done only once"""
        self._visits = 0
        self._events = 0

    def until(self, end_ms: int) -> Iterator[list[Event]]:
        """Events up to ``end_ms`` in chunks, in order of time within and between them."""
        platform = self._platform
        per_ms = platform.views_per_day / DAY_MS
        span = int(min(max(CHUNK_EVENTS / per_ms, CHUNK_MS[0]), CHUNK_MS[1]))
        pending = _nothing()
        hour, noise = -1, np.ones(len(platform.names))
        for chunk_start in range(self._start, end_ms, span):
            chunk_end = min(chunk_start + span, end_ms)
            if chunk_start // HOUR_MS != hour:
                hour = chunk_start // HOUR_MS
                seeded = np.random.default_rng([platform.seed, 3, hour])
                noise = seeded.gamma(HOUR_SHAPE, 1 / HOUR_SHAPE, len(platform.names))
            views = self._views(chunk_start, chunk_end, noise)
            pool = _joined([pending, views, *self._follow_ups(views)])
            now = pool.ts < chunk_end
            pending = pool.where(np.flatnonzero(~now))
            ready = pool.where(np.flatnonzero(now))
            if len(ready.ts):
                yield self._objects(ready.where(np.argsort(ready.ts, kind="stable")))

    def _views(self, start_ms: int, end_ms: int, noise: Floats) -> Columns:
        platform, rng = self._platform, self._rng
        middle = (start_ms + end_ms) // 2
        home = rhythm(platform.home, middle)
        per_target = platform.popularity * noise * (platform.tilt * home + (1 - platform.tilt) * world_rhythm(middle))
        counts = rng.poisson(per_target * platform.views_per_day * (end_ms - start_ms) / DAY_MS)
        target = np.repeat(np.arange(len(counts)), counts)
        hit_target, hit_host = self._hits(start_ms, end_ms)
        usual = len(target)
        target = np.concatenate([target, hit_target])
        n = len(target)
        hit = np.arange(n) >= usual

        near = rng.random(n) < platform.tilt[target] * np.where(hit, 0.6, 1.0)
        slot = platform.people.draw(rng, np.where(near, platform.home[target], -1))
        fan = (rng.random(n) < FAN_SHARE) & ~hit
        fans = np.clip(FAN_SHARE * platform.views_per_day * platform.popularity[target], 5.0, None)
        rank = (fans * rng.random(n) ** FAN_BIAS).astype(np.int64)
        slot = np.where(fan, (target * 40_503 + rank * 7_919_317) % len(platform.people), slot)

        place = np.searchsorted(platform.referrer_sums, rng.random(n), side="right")
        own = rng.random(n) < platform.external[target] * (1 - DIRECT_SHARE)
        place = np.where(own, platform.favourite[target], place)
        shared = np.zeros(n, dtype=bool)
        shared[usual:] = rng.random(n - usual) < 0.45
        place[shared] = hit_host[shared[usual:]]

        guest = (rng.random(n) < GUEST_SHARE + 0.1 * hit) & ~fan
        visits = np.zeros(n, dtype=np.int64)
        visits[guest] = self._visits + 1 + np.arange(int(guest.sum()))
        self._visits += int(guest.sum())
        return Columns(
            ts=rng.integers(start_ms, end_ms, n),
            metric=np.zeros(n, dtype=np.int64),
            target=target,
            slot=slot.astype(np.int64),
            guest=visits,
            referrer=np.minimum(place, len(platform.referrers) - 1),
            watch_ms=platform.watch(rng, target),
            away=(rng.random(n) < MOBILE_SHARE).astype(np.int64),
            undo=np.zeros(n, dtype=np.int64),
        )

    def _hits(self, start_ms: int, end_ms: int) -> tuple[Ints, Ints]:
        """Views by honest hits of today and yesterday: target and referring host of each."""
        platform, rng = self._platform, self._rng
        targets, hosts = [_none()], [_none()]
        mean = platform.views_per_day / len(platform.names)
        for day in (start_ms // DAY_MS - 1, start_ms // DAY_MS):
            seeded = np.random.default_rng([platform.seed, 4, day])
            count = int(seeded.poisson(len(platform.names) * HITS_PER_TARGET_DAY))
            who = seeded.integers(0, len(platform.names), count)
            began = day * DAY_MS + seeded.integers(0, DAY_MS, count)
            total = np.minimum(mean * (seeded.pareto(1.3, count) + 1), 0.01 * platform.views_per_day)
            fades = np.exp(seeded.uniform(np.log(0.5), np.log(6.0), count)) * HOUR_MS
            host = seeded.integers(4, 4 + EXTERNAL_HOSTS, count)
            from_ms, to_ms = np.maximum(start_ms - began, 0), np.maximum(end_ms - began, 0)
            part = _risen(to_ms / fades) - _risen(from_ms / fades)
            views = rng.poisson(total * part)
            targets.append(np.repeat(who, views))
            hosts.append(np.repeat(host, views))
        return np.concatenate(targets), np.concatenate(hosts)

    def _follow_ups(self, views: Columns) -> list[Columns]:
        """Rewatches, likes and follows after these views, and their undos."""
        platform, rng = self._platform, self._rng
        n = len(views.ts)
        again = views.where(np.flatnonzero(rng.random(n) < REWATCH_SHARE))
        wait = again.watch_ms + (rng.exponential(20_000, len(again.ts))).astype(np.int64)
        made = [again._replace(ts=again.ts + wait, watch_ms=platform.watch(rng, again.target))]
        for metric, ratio, lag in (
            (LIKE, LIKES_PER_VIEW, LIKE_LAG_MS),
            (FOLLOW, FOLLOWS_PER_VIEW, FOLLOW_LAG_MS),
        ):
            chosen = rng.random(n) < ratio / (1 - GUEST_SHARE) * platform.appeal[views.target]
            chosen &= views.guest == 0
            marks = ((views.slot * len(platform.names) + views.target) * 3 + metric)[chosen].tolist()
            first = []
            for mark in marks:
                first.append(mark not in self._liked)
                self._liked.add(mark)
            new = views.where(np.flatnonzero(chosen)[np.array(first, dtype=bool)])
            k = len(new.ts)
            delay = rng.lognormal(np.log(lag), LAG_SPREAD, k).astype(np.int64)
            new = new._replace(ts=new.ts + delay, metric=np.full(k, metric), referrer=np.zeros(k, dtype=np.int64))
            made.append(new)
            back = new.where(np.flatnonzero(rng.random(k) < UNDO_SHARE))
            delay = rng.lognormal(np.log(UNDO_LAG_MS), LAG_SPREAD, len(back.ts)).astype(np.int64)
            made.append(back._replace(ts=back.ts + delay, undo=np.ones(len(back.ts), dtype=np.int64)))
        return made

    def _objects(self, c: Columns) -> list[Event]:
        platform, people = self._platform, self._platform.people
        ts, slot, target, metric = c.ts.tolist(), c.slot, c.target.tolist(), c.metric.tolist()
        generation = (c.ts + people.phase_ms[slot]) // people.life_ms[slot]
        born = np.maximum(generation * people.life_ms[slot] - people.phase_ms[slot], 0).tolist()
        guest = c.guest.tolist()
        actors = [
            f"u{s:x}.{g}" if not visit else f"g{visit:x}"
            for s, g, visit in zip(slot.tolist(), generation.tolist(), guest, strict=True)
        ]
        away = c.away == 1
        ips = np.where(away, people.mobile[slot], people.home[slot]).tolist()
        agents = np.where(away, people.second_agent[slot], people.agent[slot]).tolist()
        ident, self._events = self._events, self._events + len(ts)
        names, owners, referrers = platform.names, platform.owners, platform.referrers
        views = [m == VIEW for m in metric]
        watches, durations = c.watch_ms.tolist(), platform.duration_ms[c.target].tolist()
        return list(
            map(
                Event,
                ts,
                actors,
                [names[t] for t in target],
                [METRICS[m] for m in metric],
                [f"e{platform.seed:x}-{i:x}" for i in range(ident, ident + len(ts))],
                [owners[t] for t in target],
                ips,
                agents,
                [f"{a}-{t // HOUR_MS % 1000}" for a, t in zip(actors, ts, strict=True)],
                [w if v else None for w, v in zip(watches, views, strict=True)],
                [d if v else None for d, v in zip(durations, views, strict=True)],
                [referrers[r] if v else None for r, v in zip(c.referrer.tolist(), views, strict=True)],
                [COUNTRIES[k][0] for k in people.country[slot].tolist()],
                [None if visit else b for b, visit in zip(born, guest, strict=True)],
                [u == 1 for u in c.undo.tolist()],
            )
        )


def _risen(x: Floats) -> Floats:
    """Share of a hit's views up to ``x`` fading times after its start: it rises within a tenth of one, then fades."""
    fast = 0.1
    return np.asarray(1.0 - (np.exp(-x) - fast * np.exp(-x / fast)) / (1.0 - fast))


def _none() -> Ints:
    return np.zeros(0, dtype=np.int64)


def _nothing() -> Columns:
    return Columns(*(_none() for _ in Columns._fields))


def _joined(parts: list[Columns]) -> Columns:
    return Columns(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
