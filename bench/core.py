"""The core without Kafka: from decoding to verdicts and counts, with the objects of an offline replay.

``python -m bench.core EVENTS TARGETS SPAN_SECONDS IDS SEED``
"""

from __future__ import annotations

import itertools
import sys
import time

from bench.events import Traffic
from bench.measured import Measured, print_result
from streams.offline.pipeline import Offline
from streams.service import memory
from streams.settings.actors import Actors
from streams.settings.settings import Settings


def measure(traffic: Traffic) -> Measured:
    """Audit all events. Generating them is not measured."""
    values = list(itertools.chain.from_iterable(traffic.chunks()))
    memory.collect_rarely()  # as the command does
    offline = Offline(Settings(actors=Actors(enabled=False)), lambda name, line: None)  # noqa: ARG005  # the sink's signature
    began, cpu = time.perf_counter(), time.process_time()
    summary = offline.run(values)
    measured = Measured(summary.records, time.perf_counter() - began, time.process_time() - cpu)
    assert summary.raw == traffic.events, summary
    return measured


if __name__ == "__main__":
    events, targets, span_seconds, ids, seed = (int(argument) for argument in sys.argv[1:])
    print_result(measure(Traffic(events, targets, span_seconds, bool(ids), seed)))
