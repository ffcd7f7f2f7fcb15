"""Peak resident memory of a worker with millions of targets under a memory budget, and a check of its counts.

``python -m bench.memory [TARGETS [BUDGET_MIB [ACTORS_MIB]]]`` prints its figures as JSON. With ``ACTORS_MIB``, the
budget of the role actors, nearly every event is by another account.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from bench.measured import PartError
from bench.population import ACTORS_BYTES, PEOPLE, Population, print_measured
from bench.worker import total

TARGETS = 5_000_000
BUDGET_MIB = 512
ALLOWED_BEYOND_MIB = 350
"""Memory promised in addition to the budget: interpreter, libraries, RocksDB, data in flight."""
ALLOWED_FOR_ACTORS_MIB, INDEX_BYTES = 120, 21
"""The same for the role actors: a store for each partition, and the index of idle accounts."""
NEW_PEOPLE = 100_000_000
"""So many that hardly anybody comes twice."""
SLOWEST_TARGETS_S = 1_500
SHOW_SECONDS = 10.0
COMMIT_SECONDS = 30.0
"""Time for the last checkpoints after all counts have been published."""


def measure(
    servers: str, scratch: Path, *, targets: int = TARGETS, budget_mib: int = BUDGET_MIB, actors_mib: int | None = None
) -> dict[str, Any]:
    """The figures. Raises PartError if the worker does not finish, or a count is wrong."""
    population = Population(
        servers,
        scratch,
        targets=targets,
        memory_bytes=budget_mib << 20,
        seed=1,
        people=PEOPLE if actors_mib is None else NEW_PEOPLE,
        actors_bytes=ACTORS_BYTES if actors_mib is None else actors_mib << 20,
    )
    population.fill()
    process = population.start()
    peak, shown_at, seconds = 0, 0.0, 0.0

    def done(page: str) -> bool:
        targets_done = total(page, "truecount_targets") >= targets and population.counts_published(page)
        return targets_done and (actors_mib is None or total(page, "truecount_actor_events_total") >= targets)

    try:
        for sample in population.watch(process, done, 60 + targets / SLOWEST_TARGETS_S):
            peak, seconds = max(peak, sample.rss_bytes), sample.seconds
            if seconds - shown_at > SHOW_SECONDS:
                shown_at = seconds
                _show(sample.page, sample.rss_bytes, seconds)
        began = time.monotonic()
        while time.monotonic() - began < COMMIT_SECONDS:
            time.sleep(1)
            sample = next(population.watch(process, done, 60))
            peak = max(peak, sample.rss_bytes)
    finally:
        population.stop(process)
    found, raw = population.counted()
    if (found, raw) != (targets, targets):
        raise PartError(f"{targets:,} targets had an event each, but {found:,} targets with {raw:,} events are counted")
    allowed_mib = budget_mib + ALLOWED_BEYOND_MIB
    if actors_mib is not None:
        allowed_mib += actors_mib + ALLOWED_FOR_ACTORS_MIB + (targets * INDEX_BYTES >> 20)
    return {
        "targets": targets,
        "budget_mib": budget_mib,
        "actors_mib": actors_mib,
        "peak_rss_mib": round(peak / 2**20),
        "allowed_mib": allowed_mib,
        "kept": peak <= allowed_mib << 20,
        "seconds": round(seconds, 1),
    }


def _show(page: str, rss: int, seconds: float) -> None:
    names = ("truecount_events_total", "truecount_targets", "truecount_hot_keys", "truecount_cooled_keys_total")
    facts = ", ".join(f"{name.removeprefix('truecount_')} {total(page, name):,.0f}" for name in names)
    print(f"{seconds:5.0f} s: RSS {rss >> 20:,} MiB, {facts}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure on a Kafka of its own."""
    numbers: list[Any] = [int(argument) for argument in sys.argv[1:]]
    print_measured(partial(measure, **dict(zip(("targets", "budget_mib", "actors_mib"), numbers, strict=False))))


if __name__ == "__main__":
    main()
