"""Events of the benchmark: views as native JSON of about 220 bytes, determined by a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

FIRST_TS_MS = 1_760_000_000_000
"""A fixed time in the past, so that results do not depend on the date of the run."""

CHUNK = 20_000
TAIL_EXPONENT = 1.0
"""Zipf exponent: of 100,000 targets the first has 8 % of the views, the first hundred 43 %."""
ACTORS = 400_000
"""Number of actors, so that each watches one to three videos in a few minutes."""
NETWORKS = 30_000

AGENTS = tuple(
    f"Mozilla/5.0 ({device}) {engine}".encode()
    for device in (
        "Windows NT 10.0; Win64; x64",
        "iPhone; CPU iPhone OS 18_5",
        "Linux; Android 15; Pixel 9",
        "Macintosh; Intel Mac OS X 15",
        "X11; Linux x86_64",
    )
    for engine in ("Chrome/126.0.0.0", "Safari/604.1.15", "Firefox/139.0", "Edg/126.0.2592")
)
COUNTRIES = b"US IN BR ID MX DE JP FR GB TR PH VN IT ES PL".split()

EVENT = (
    b'"ts":%d,"metric":"view","actor":"u%07d","target":"v%06d","ip":"%d.%d.%d.%d",'
    b'"user_agent":"%b","watch_ms":%d,"country":"%b"}'
)
CLOSING = b'{"ts":%d,"metric":"view","actor":"clock","target":"closing"}'
CLOSING_TARGET = "closing"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Parameters of the traffic: events, targets, span of event time, whether events have ids, seed, actors."""

    events: int
    targets: int = 100_000
    span_seconds: int = 180
    ids: bool = True
    seed: int = 1
    actors: int = ACTORS

    def last_ts_ms(self) -> int:
        """The time of the last event."""
        return FIRST_TS_MS + self.span_seconds * 1000

    def chunks(self) -> Iterator[list[bytes]]:
        """The events in order of time, up to CHUNK at once."""
        rng = np.random.default_rng(self.seed)
        weights = 1.0 / np.arange(1, self.targets + 1) ** TAIL_EXPONENT
        edges = np.cumsum(weights / weights.sum())
        # Ids are shuffled, so that they do not depend on popularity.
        names = rng.permutation(self.targets)
        for first in range(0, self.events, CHUNK):
            count = min(CHUNK, self.events - first)
            ranks = np.minimum(np.searchsorted(edges, rng.random(count)), self.targets - 1)
            actors = rng.integers(0, self.actors, count)
            watch_ms = rng.integers(1_000, 900_000, count)
            places = np.arange(first, first + count)
            times = FIRST_TS_MS + places * self.span_seconds * 1000 // self.events
            columns = (places, times, actors, names[ranks], watch_ms)
            yield [self._event(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]

    @staticmethod
    def closing(ts_ms: int) -> bytes:
        """An event that only advances event time to ``ts_ms``."""
        return CLOSING % ts_ms

    def _event(self, place: int, ts: int, actor: int, target: int, watch_ms: int) -> bytes:
        # Mixed, so that adjacent actor numbers have unrelated networks and user agents.
        mixed = actor * 2_654_435_761 % 4_294_967_296
        network = mixed % NETWORKS
        body = EVENT % (
            ts,
            actor,
            target,
            60 + network % 120,
            network // 120 % 250,
            network % 251,
            1 + mixed % 253,
            AGENTS[mixed // 7 % len(AGENTS)],
            watch_ms,
            COUNTRIES[network % len(COUNTRIES)],
        )
        return b'{"id":"view-%010d",' % place + body if self.ids else b"{" + body
