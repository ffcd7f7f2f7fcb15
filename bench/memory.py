"""Peak resident memory of a worker with millions of targets under a memory budget, and a check of its counts.

``python -m bench.memory [TARGETS [BUDGET_MIB [ACTORS_MIB]]]`` prints its figures as JSON. With ``ACTORS_MIB``, the
budget of the role actors, nearly every event is by another account.

``python -m bench.memory returning [EVENTS]`` has popular targets and people who come back instead: windows with full
samples of people, and accounts that are idle and active again. All of the default configuration's budgets and of the
platform is a quarter, so that it takes minutes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench.events import FIRST_TS_MS, Traffic
from bench.measured import PartError
from bench.population import ACTORS_BYTES, PEOPLE, Population, print_measured
from bench.worker import AUDITED, total

TARGETS = 5_000_000
BUDGET_MIB = 512
ALLOWED_BEYOND_MIB = 350
"""Memory promised in addition to the budget: interpreter, libraries, RocksDB, data in flight."""
ALLOWED_FOR_ACTORS_MIB, INDEX_BYTES = 120, 21
"""The same for the role actors: a store for each partition, and the index of idle accounts."""
NEW_PEOPLE = 100_000_000
"""So many that hardly anybody comes twice."""
RETURNING = "returning"
RETURNING_EVENTS = 1_200_000
VIEWS_EACH = 2
RETURNING_TARGETS, RETURNING_SECONDS = 25_000, 600
QUARTER_MIB, QUARTER_ACTORS_MIB, QUARTER_IDS = 128, 64, 25_000
"""Quarters of the default budgets, and of the ids that a partition remembers."""
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

    def done(page: str) -> bool:
        targets_done = total(page, "truecount_targets") >= targets and population.counts_published(page)
        return targets_done and (actors_mib is None or total(page, "truecount_actor_events_total") >= targets)

    peak, seconds = _peak(population, done, targets)
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
        **_compared(peak, allowed_mib, seconds),
    }


class ReturningPeople(Population):
    """An installation whose input has targets by Zipf's law, and people who have VIEWS_EACH views each."""

    def __init__(self, servers: str, scratch: Path, events: int) -> None:
        budgets = {"memory_bytes": QUARTER_MIB << 20, "actors_bytes": QUARTER_ACTORS_MIB << 20}
        super().__init__(servers, scratch, targets=RETURNING_TARGETS, seed=1, **budgets)
        self.traffic = Traffic(events, RETURNING_TARGETS, RETURNING_SECONDS, actors=events // VIEWS_EACH)
        text = self.config.read_text().replace("[state]", f"[state]\ndedupe_ids = {QUARTER_IDS}")
        self.config.write_text(text)

    @property
    def last_ts_ms(self) -> int:
        """The time of the last event."""
        return FIRST_TS_MS + RETURNING_SECONDS * 1000

    def events(self) -> Iterator[list[bytes]]:
        """The events in order of time."""
        return self.traffic.chunks()


def measure_returning(servers: str, scratch: Path, *, events: int = RETURNING_EVENTS) -> dict[str, Any]:
    """The figures of popular targets and people who come back. Raises PartError as ``measure`` does."""
    population = ReturningPeople(servers, scratch, events)

    def done(page: str) -> bool:
        audited = sum(total(page, name) for name in AUDITED) >= events
        by_actor = total(page, "truecount_actor_events_total") >= events
        return audited and by_actor and population.counts_published(page)

    peak, seconds = _peak(population, done, events)
    found, raw = population.counted()
    if raw != events:
        raise PartError(f"{events:,} events were sent, but {raw:,} are counted")
    allowed_mib = QUARTER_MIB + QUARTER_ACTORS_MIB + ALLOWED_BEYOND_MIB + ALLOWED_FOR_ACTORS_MIB
    allowed_mib += events // VIEWS_EACH * INDEX_BYTES >> 20
    return {
        "events": events,
        "targets": found,
        "budget_mib": QUARTER_MIB,
        "actors_mib": QUARTER_ACTORS_MIB,
        **_compared(peak, allowed_mib, seconds),
    }


def _compared(peak: int, allowed_mib: int, seconds: float) -> dict[str, Any]:
    return {
        "peak_rss_mib": round(peak / 2**20),
        "allowed_mib": allowed_mib,
        "kept": peak <= allowed_mib << 20,
        "seconds": round(seconds, 1),
    }


def _peak(population: Population, done: Callable[[str], bool], events: int) -> tuple[int, float]:
    """Send all events, and run a worker until ``done``. Returns its peak of resident bytes, and the seconds taken."""
    population.fill()
    process = population.start()
    try:
        return _watched(population, process, done, 60 + events / SLOWEST_TARGETS_S)
    finally:
        population.stop(process)


def _watched(
    population: Population, process: subprocess.Popen[bytes], done: Callable[[str], bool], deadline_seconds: float
) -> tuple[int, float]:
    peak, shown_at, seconds = 0, 0.0, 0.0
    for sample in population.watch(process, done, deadline_seconds):
        peak, seconds = max(peak, sample.rss_bytes), sample.seconds
        if seconds - shown_at > SHOW_SECONDS:
            shown_at = seconds
            _show(sample.page, sample.rss_bytes, seconds)
    began = time.monotonic()
    while time.monotonic() - began < COMMIT_SECONDS:
        time.sleep(1)
        peak = max(peak, next(population.watch(process, done, 60)).rss_bytes)
    return peak, seconds


def _show(page: str, rss: int, seconds: float) -> None:
    names = ("truecount_events_total", "truecount_targets", "truecount_hot_keys", "truecount_cooled_keys_total")
    facts = ", ".join(f"{name.removeprefix('truecount_')} {total(page, name):,.0f}" for name in names)
    print(f"{seconds:5.0f} s: RSS {rss >> 20:,} MiB, {facts}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure on a Kafka of its own."""
    if sys.argv[1:2] == [RETURNING]:
        events = int(sys.argv[2]) if len(sys.argv) > 2 else RETURNING_EVENTS  # the second argument
        print_measured(partial(measure_returning, events=events))
        return
    numbers: list[Any] = [int(argument) for argument in sys.argv[1:]]
    print_measured(partial(measure, **dict(zip(("targets", "budget_mib", "actors_mib"), numbers, strict=False))))


if __name__ == "__main__":
    main()
