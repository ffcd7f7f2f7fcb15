"""CPU time of windows of five minutes that close together: most as usual, or all of them surging.

``python -m bench.closing [TARGETS] [SEED]`` prints µs a window as JSON. One partition, without Kafka. All windows have
a crowd: 14 events on average, of a platform with 12,000 networks, after an hour of past. In the last five minutes of
``surging`` each target has nine times as many events of the same people, so that each window is judged by itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.audit import Audit, AuditSettings
from detectors.catalog.registry import prepare
from detectors.closing.closing import WindowClosing
from detectors.events.block import EventBlock
from detectors.events.buckets import NETWORK_BUCKETS
from detectors.records import Outcome
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTES_MS

TARGETS = 2_000
EVENTS = 14
SURGE = 9
PEOPLE = 300_000
NETWORKS = 12_000
COUNTRIES = 40
START_MS = 20_000 * DAY_MS
BLOCK = 1_000


def measure(targets: int = TARGETS, seed: int = 1) -> dict[str, float]:
    """µs of CPU a window, of the last closing of usual and of surging windows."""
    prepare()
    figures = {}
    for name, factor in (("usual", 1), ("surging", SURGE)):
        rng, audit, outcome = np.random.default_rng(seed), Audit(AuditSettings()), Outcome()
        position = 0
        for start in range(START_MS, START_MS + HOUR_MS, MINUTES_MS):
            times = factor if start == START_MS + HOUR_MS - MINUTES_MS else 1
            for block in _blocks(rng, start, targets, times * EVENTS * targets):
                position += 1
                audit.observe(block, position, outcome)
                audit.advance(int(np.asarray(block.ts)[-1]) - 10_000, outcome)
        spent = _close(audit, outcome, START_MS + HOUR_MS - MINUTES_MS)
        figures[f"{name}_window_cpu_us"] = round(spent / targets * 1e6, 1)
    return {"windows": targets, **figures}


def _close(audit: Audit, outcome: Outcome, start: int) -> float:
    """Move event time over the end of the five minutes that begin at ``start``. Returns the CPU seconds of closing."""
    spent, close = 0.0, WindowClosing.close

    def timed(self: WindowClosing, order: int, start_ms: int, now_ms: int, outcome: Outcome) -> Iterator[None]:
        nonlocal spent
        began = time.process_time()
        yield from close(self, order, start_ms, now_ms, outcome)
        if (order, start_ms) == (1, start):
            spent += time.process_time() - began

    WindowClosing.close = timed  # type: ignore[method-assign,assignment]  # put back below
    try:
        audit.advance(start + MINUTES_MS + 10_000, outcome)
    finally:
        WindowClosing.close = close  # type: ignore[method-assign]  # as it was
    return spent


def _blocks(rng: np.random.Generator, start: int, targets: int, events: int) -> list[EventBlock]:
    ts = np.sort(start + rng.integers(0, MINUTES_MS, events))
    person = rng.integers(0, PEOPLE, events)
    hashed = (person.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(1)).astype(np.int64) | 1
    network = person * 48_271 % NETWORKS
    country = network % COUNTRIES
    columns: dict[str, NDArray[np.int64]] = {
        "network": network % NETWORK_BUCKETS + NETWORK_BUCKETS * (country + 1),
        "agent": person % 9,
        "referrer": rng.integers(-1, 12, events),
        "country": country,
        "account": person * 31 % 1_000 * 2 + (person % 50 == 0),
        "watch": rng.integers(8, 16, events),
    }
    target = rng.integers(0, targets, events)
    return [
        EventBlock(
            target=[f"v{number}" for number in target[at : at + BLOCK].tolist()],
            metric=[0] * len(ts[at : at + BLOCK]),
            ts=ts[at : at + BLOCK],
            actor=hashed[at : at + BLOCK],
            **{name: column[at : at + BLOCK].astype(np.int32) for name, column in columns.items()},  # type: ignore[arg-type]  # columns all
        )
        for at in range(0, events, BLOCK)
    ]


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    print(msgspec.json.encode(measure(*given)).decode())
