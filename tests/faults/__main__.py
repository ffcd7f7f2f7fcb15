"""The long part of the faults: ``python -m tests.faults [NAME …] [--record]``, which `make faults` runs.

Each siege has three workers, topics of its own and its own fault; all share one Apache Kafka (Java 17+ and Maven).
Root alone can make the small disks. Prints a table; ``--record`` puts it into docs/reliability.md. Exits 1 if anything
differs.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.testbed.brokers import KafkaServer, kafka_is_missing, kafka_jars
from tests.faults.faults import (
    SmallDisk,
    corrupt_stores,
    disk_full,
    freeze,
    grow_inputs,
    in_turn,
    kill_broker,
    kills,
    lost_worker,
    outage,
    read_only_disk,
    rolling_restart,
    silent_broker,
)
from tests.faults.live import LiveSiege
from tests.faults.results import Report
from tests.faults.siege import Disturbance, Siege
from tests.faults.traffic import Traffic

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
DRAIN_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A siege to be laid."""

    disturb: Disturbance
    traffic: Traffic
    rate: float
    small_disk: bool = False
    processing: str = "exactly_once"
    live_from: int | None = None
    """the minute of the traffic from which it is sent in real time; None if it goes faster"""

    def siege(self, name: str, kafka: KafkaServer, directory: Path) -> Siege:
        """The siege of this plan."""
        if self.live_from is not None:
            return LiveSiege(name, kafka, directory, self.traffic, live_from=self.live_from)
        return Siege(name, kafka, directory, self.traffic, rate=self.rate, processing=self.processing)


PLANS = {
    "worker killed": Plan(kills(55, shortest=2, longest=14), Traffic(4, 300, 2150), rate=3300),
    "worker frozen": Plan(in_turn(freeze, freeze, freeze), Traffic(5, 60, 400), rate=1800),
    "broker killed": Plan(in_turn(kill_broker, kill_broker, kill_broker), Traffic(6, 60, 200), rate=1000),
    "broker silent for 60 s": Plan(in_turn(silent_broker(60)), Traffic(7, 60, 200), rate=600),
    "outage of 40 s during an attack": Plan(
        outage(after_seconds=40, seconds=40), Traffic(14, 60, 99), rate=0, live_from=96
    ),
    "worker lost during an attack": Plan(
        lost_worker(after_seconds=40, seconds=60), Traffic(15, 60, 99), rate=0, live_from=96
    ),
    "rolling restart": Plan(in_turn(rolling_restart), Traffic(8, 60, 200), rate=600),
    "RocksDB corrupt": Plan(in_turn(corrupt_stores, corrupt_stores), Traffic(9, 60, 200), rate=1000),
    "disk full": Plan(in_turn(disk_full(0)), Traffic(10, 60, 200), rate=1500, small_disk=True),
    "disk read-only": Plan(in_turn(read_only_disk(0)), Traffic(11, 60, 200), rate=1500, small_disk=True),
    "input partitions added": Plan(in_turn(grow_inputs, grow_inputs), Traffic(12, 60, 200), rate=1000),
    "worker killed, at least once": Plan(
        kills(10, shortest=2, longest=8), Traffic(13, 60, 200), rate=600, processing="at_least_once"
    ),
}


def row(report: Report) -> str:
    """A line of the table."""
    return (
        f"| {report.name} | {report.faults} | {report.kills} | {report.events:,} | {report.flags:,} |"
        f" {report.corrections:,} | {report.controls:,} | {len(report.problems)} | {report.seconds:.0f} |"
    )


HEAD = [
    "| what | faults | kills | events | flag revisions | corrections | control frames | differences | seconds |",
    "|---|---|---|---|---|---|---|---|---|",
]


def record(reports: list[Report]) -> None:
    """Put the rows into the page; rows of sieges that were not laid this time stay."""
    before, rest = PAGE.read_text().split(BEGIN)
    old, after = rest.split(END)
    rows = {line.split("|")[1].strip(): line for line in old.splitlines() if line.startswith("| ")}
    rows.pop("what", None)
    rows |= {report.name: row(report) for report in reports}
    ordered = [rows[name] for name in PLANS if name in rows]
    PAGE.write_text("\n".join([before + BEGIN, *HEAD, *ordered, END]) + after)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(PLANS)}; all without one")
    parser.add_argument("--record", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in PLANS]
    missing = kafka_is_missing()
    if unknown or missing:
        parser.error(f"no siege is called {unknown[0]!r}" if unknown else f"no Kafka can be started: {missing}")
    logging.disable(logging.ERROR)  # clients have much to say about a broker that is dead
    reports: list[Report] = []
    with tempfile.TemporaryDirectory(prefix="truecount-faults-") as scratch:
        kafka = KafkaServer(Path(scratch) / "kafka", kafka_jars())
        kafka.start()
        try:
            for number, name in enumerate(options.names or PLANS):
                plan = PLANS[name]
                if plan.small_disk and os.geteuid() != 0:
                    print(f"{name}: left out, since only root can make a small disk", flush=True)
                    continue
                directory = Path(scratch) / f"siege-{number}"
                siege = plan.siege(name, kafka, directory)
                if plan.small_disk:
                    siege.disks[0] = SmallDisk(siege.state_directory(0))
                reports.append(asyncio.run(siege.run(plan.disturb, drain_seconds=DRAIN_SECONDS)))
                print(row(reports[-1]), str(reports[-1].kinds), *reports[-1].problems[:20], sep="\n  ", flush=True)
        finally:
            kafka.stop()
    print("", *HEAD, *map(row, reports), sep="\n")
    if options.record:
        record(reports)
    return 1 if any(report.problems for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
