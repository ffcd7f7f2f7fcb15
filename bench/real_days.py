"""Traffic of real days, which is sparse in event time: a day of a platform, and a quiet week of many targets.

``python -m bench.real_days day|sparse [SHARE] [SEED]`` audits it without Kafka and prints CPU time per event as JSON.
``SHARE`` shortens the span: 0.1 is a tenth of the day. It is generated here, so that it does not know the lab.
``python -m bench.real_days tick`` prints the CPU time of a nearly empty tick.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.events import AGENTS, COUNTRIES, FIRST_TS_MS
from detectors.audit import Audit, AuditSettings
from detectors.catalog.registry import prepare
from detectors.events.block import EventBlock
from detectors.records import Outcome
from detectors.windows.scales import MINUTES_MS
from streams.offline.pipeline import Offline
from streams.service import memory
from streams.settings.actors import Actors
from streams.settings.settings import Settings

CHUNK = 20_000
DAY_MS = 86_400_000
MIDNIGHT_MS = FIRST_TS_MS - FIRST_TS_MS % DAY_MS

EVENT = (
    b'{"id":"%b%09d","ts":%d,"metric":"%b","actor":"u%07d","target":"v%06d","ip":"%d.%d.%d.7",'
    b'"user_agent":"%b","country":"%b","account_age_days":%d%b}'
)


@dataclass(frozen=True, slots=True)
class RealTraffic:
    """Views, likes and follows with the rhythm of the day. Popularity of targets follows Zipf's law."""

    name: str
    targets: int
    actors: int
    days: float
    views: int
    likes: int = 0
    follows: int = 0
    exponent: float = 1.0
    """of Zipf's law; 0: all targets alike"""
    rhythm: float = 0.6
    """amplitude of the day's rhythm around its mean"""
    seed: int = 1

    @property
    def events(self) -> int:
        """The number of all events."""
        return self.views + self.likes + self.follows

    def shortened(self, share: float) -> RealTraffic:
        """The same traffic for a share of the time."""
        views, likes, follows = (round(share * each) for each in (self.views, self.likes, self.follows))
        return replace(self, days=self.days * share, views=views, likes=likes, follows=follows)

    def chunks(self) -> Iterator[list[bytes]]:
        """The events as native JSON in order of time, up to CHUNK at once."""
        rng = np.random.default_rng(self.seed)
        times = self._times(rng)
        metrics = rng.permutation(np.repeat(np.arange(3), (self.views, self.likes, self.follows)))
        weights = 1.0 / np.arange(1, self.targets + 1) ** self.exponent
        edges = np.cumsum(weights / weights.sum())
        names = rng.permutation(self.targets)
        # Some people are far more active than others.
        activity = np.cumsum(rng.pareto(1.5, self.actors) + 0.2)
        activity /= activity[-1]
        for first in range(0, self.events, CHUNK):
            places = np.arange(first, min(first + CHUNK, self.events))
            targets = names[np.minimum(np.searchsorted(edges, rng.random(len(places))), self.targets - 1)]
            actors = np.searchsorted(activity, rng.random(len(places)))
            watch_ms = (rng.lognormal(3.5, 1.2, len(places)) * 1000).astype(np.int64)
            columns: tuple[NDArray[Any], ...] = (places, times[places], metrics[places], actors, targets, watch_ms)
            yield [_event(row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def _times(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Times with a density of 1 + rhythm × sin, by the inverse of its integral on a grid of minutes."""
        minutes = np.arange(round(self.days * 1440) + 1)
        density = 1 + self.rhythm * np.sin(2 * np.pi * (minutes / 1440 - 0.4))
        reached = np.concatenate([[0.0], np.cumsum(density)])[: len(minutes)]
        chosen = np.sort(rng.random(self.events)) * reached[-1]
        times: NDArray[np.int64] = MIDNIGHT_MS + (np.interp(chosen, reached, minutes) * 60_000).astype(np.int64)
        return times


DAY = RealTraffic(
    "day", targets=4_000, actors=120_000, days=1.0, views=2_800_000, likes=390_000, follows=90_000, exponent=0.9
)
"""A day of a platform with three metrics."""
SPARSE = RealTraffic("sparse", targets=40_000, actors=90_000, days=7.0, views=0, likes=280_000, exponent=0.0)
"""A week in which most targets have one event a day."""
TRAFFIC = {traffic.name: traffic for traffic in (DAY, SPARSE)}


def _event(row: tuple[int, ...]) -> bytes:
    place, ts, metric, actor, target, watch_ms = row
    name = (b"view", b"like", b"follow")[metric]
    mixed = actor * 2_654_435_761 % 4_294_967_296
    network = mixed % 30_000
    watch = b',"watch_ms":%d' % watch_ms if metric == 0 else b""
    agent, country = AGENTS[mixed // 7 % len(AGENTS)], COUNTRIES[network % len(COUNTRIES)]
    octets = 11 + network // 6_000, network // 250 % 24, network % 250
    return EVENT % (name[:1], place, ts, name, actor, target, *octets, agent, country, mixed % 2_500, watch)


def measure(traffic: RealTraffic) -> dict[str, float]:
    """Audit all events. Generating and encoding them is not measured."""
    memory.collect_rarely()  # as the command does
    prepare()  # a worker does it once, when it starts
    offline = Offline(Settings(actors=Actors(enabled=False)), lambda name, line: None)  # noqa: ARG005  # the sink's signature
    generated = 0.0

    def values() -> Iterator[bytes]:
        nonlocal generated
        chunks = traffic.chunks()
        while True:
            began = time.process_time()
            chunk = next(chunks, None)
            generated += time.process_time() - began
            if chunk is None:
                return
            yield from chunk

    began = time.process_time()
    summary = offline.run(values())
    cpu = time.process_time() - began - generated
    assert summary.raw == traffic.events, summary
    return {
        "events": traffic.events,
        "cpu_seconds": round(cpu, 2),
        "us_per_event": round(cpu / traffic.events * 1e6, 1),
        "flags": summary.flags,
    }


TICKS = 29
"""Ticks that are timed together: those of five minutes but the last one, with which longer windows close."""


def nearly_empty_tick_us(rounds: int = 200) -> float:
    """CPU time in µs of a tick with one event, from its columns to its count: the least of some rounds."""
    memory.collect_rarely()
    audit, outcome, best = Audit(AuditSettings()), Outcome(), math.inf
    for number in range(rounds):
        start, numbers = MIDNIGHT_MS + number * MINUTES_MS, range(number * TICKS, (number + 1) * TICKS)
        block = EventBlock(
            target=[f"v{each * 7919 % 4_000}" for each in numbers],
            metric=[each % 3 for each in numbers],
            ts=[start + 10_000 * tick + 5_000 for tick in range(TICKS)],
            actor=[each * 2_654_435_761 % (1 << 62) for each in numbers],
        )
        began = time.process_time()
        audit.observe(block, number, outcome)
        audit.advance(start + 10_000 * TICKS, outcome)
        best = min(best, (time.process_time() - began) / TICKS * 1e6)
        audit.advance(start + MINUTES_MS, outcome)
        outcome.drain()
    return round(best, 1)


if __name__ == "__main__" and sys.argv[1:] == ["tick"]:
    print(msgspec.json.encode({"nearly_empty_tick_us": nearly_empty_tick_us()}).decode())
elif __name__ == "__main__":
    name, share, seed = (*sys.argv[1:], "1", "1")[:3] if len(sys.argv) < 4 else sys.argv[1:4]
    wanted = TRAFFIC[name].shortened(float(share))
    print(msgspec.json.encode({"share": float(share), **measure(wanted)}).decode())
