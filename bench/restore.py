"""Restore time of a worker with a million targets: from its disk plus the changelog's end, and from the changelog
alone.

``python -m bench.restore [TARGETS]`` prints its figures as JSON.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from bench.measured import PartError
from bench.population import Population, print_measured, restored
from bench.worker import total

TARGETS = 1_000_000
SLOWEST_TARGETS_S = 1_500
MEMORY_MIB = 512


def measure(servers: str, scratch: Path, *, targets: int = TARGETS) -> dict[str, Any]:
    """The figures. Raises PartError if a target is not restored."""
    population = Population(servers, scratch, targets=targets, memory_bytes=MEMORY_MIB << 20, seed=2)
    population.fill()
    process = population.start()
    try:
        deadline = 60 + targets / SLOWEST_TARGETS_S
        # All records must be processed before the stop: a worker may abandon records in progress when it stops.
        for _ in population.watch(process, lambda page: _processed(page, targets), deadline):
            pass
    finally:
        population.stop(process)
    from_disk = _restart(population)
    population.forget_disk()
    from_changelog = _restart(population)
    million = targets / 1_000_000
    return {
        "targets": targets,
        "restore_s_per_million": round(from_changelog / million, 1),
        "restore_from_disk_s_per_million": round(from_disk / million, 1),
    }


def _processed(page: str, targets: int) -> bool:
    return total(page, "truecount_targets") >= targets and total(page, "truecount_lag_records") == 0


def _restart(population: Population) -> float:
    """Seconds from the start of the first restore to the end of the last. The start of the process is not included."""
    process = population.start()
    try:
        began = 0.0
        for sample in population.watch(process, restored(population.settings.partitions), 600):
            if not began and total(sample.page, "truecount_tasks") > 0:
                began = sample.seconds  # the ingest tasks open first, and have no state to restore
        seconds = sample.seconds - began
        found = total(sample.page, "truecount_targets")
        if found < population.targets:
            raise PartError(f"{found:,.0f} of {population.targets:,} targets were restored")
    finally:
        population.stop(process)
    time.sleep(1)
    return seconds


def main() -> None:
    """Measure on a Kafka of its own."""
    targets = int(sys.argv[1]) if len(sys.argv) > 1 else TARGETS
    print_measured(partial(measure, targets=targets))


if __name__ == "__main__":
    main()
