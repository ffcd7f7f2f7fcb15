"""CPU time per event by the number of live targets, in the core without Kafka.

First each target gets one event. Then the same traffic over BUSY targets is measured, whatever the number of targets.

``python -m bench.live EVENTS TARGETS SEED``
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator

from bench.events import FIRST_TS_MS, Traffic
from bench.measured import Measured, print_result
from streams.offline.pipeline import BATCH, Offline
from streams.service import memory
from streams.settings.actors import Actors
from streams.settings.settings import Settings

BUSY = 10_000
SPAN_SECONDS = 30
PAST = b'{"ts":%d,"metric":"view","actor":"u%07d","target":"v%06d","ip":"10.%d.%d.7","country":"DE"}'


def _past(targets: int) -> Iterator[bytes]:
    """One event per target, in the two minutes before the measured traffic."""
    begin = FIRST_TS_MS - 120_000
    for number in range(targets):
        yield PAST % (begin + number * 60_000 // targets, number, number, number % 250, number // 250 % 250)


def measure(events: int, targets: int, seed: int) -> Measured:
    """Audit the past, then measure the traffic."""
    memory.collect_rarely()
    values = list(itertools.chain.from_iterable(Traffic(events, BUSY, SPAN_SECONDS, True, seed).chunks()))
    offline = Offline(Settings(actors=Actors(enabled=False)), lambda name, line: None)  # noqa: ARG005  # the sink's signature
    marks: list[float] = []

    def both() -> Iterator[bytes]:
        yield from _past(targets)
        # These close all earlier windows and fill a batch, so that none of them is closed during the measurement.
        yield from itertools.repeat(Traffic.closing(FIRST_TS_MS), 2 * BATCH)
        marks.extend((time.perf_counter(), time.process_time()))
        yield from values
        marks.extend((time.perf_counter(), time.process_time()))  # the summary over all targets is not measured

    summary = offline.run(both())
    assert summary.targets == max(targets, BUSY) + 1, summary
    began, cpu, ended, cpu_ended = marks
    return Measured(events, ended - began, cpu_ended - cpu)


if __name__ == "__main__":
    print_result(measure(*map(int, sys.argv[1:])))
