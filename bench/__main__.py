"""``python -m bench``: runs all parts, prints a table, and writes bench/results.json.

Exit codes: 0 all promises that were measured are met, 1 one is not, 2 usage error, 3 a part has no result.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench import measured, topic
from bench.earlier import earlier_tree
from bench.events import Traffic
from bench.flink import job
from bench.flink.building import flink_is_missing
from bench.measured import Measured, PartError
from bench.quix_environment import quix_python
from bench.report import Run
from bench.testbed.brokers import BrokerError, KafkaServer, kafka_is_missing, kafka_jars
from bench.worker import Worker
from streams.settings.settings import Settings

PER_MESSAGE_SECONDS = 15.0
SLOWEST_EVENTS_S = 4_000
"""Least speed of a part; below it the deadline ends the part, since no promised ratio could be reached."""
START_SECONDS = 60.0
OWN_SECONDS = 3600.0
"""Deadline of a part with its own broker and traffic."""
LIVE_TARGETS = (10_000, 1_000_000)
LIVE_EVENTS = 300_000
CORES_FOR_TWO = 4
"""Least cores for the part with two workers. With fewer, the workers and the broker slow each other down."""
DAY_SHARE, SPARSE_SHARE = 0.25, 0.3
"""Shares of the day (from midnight) and of the week, so that each takes a minute at most."""
LATENCY_EVENTS_S = 20_000


def main() -> int:
    """Run the benchmark and return the exit code."""
    options = _options()
    lacking = _missing(options.only)
    if lacking is not None:
        print(f"bench: {lacking}", file=sys.stderr)
        return 3
    traffic = Traffic(options.events, options.targets, options.span_seconds, options.ids, options.seed)
    load_before = os.getloadavg()[0]
    try:
        parts, figures = _measure(traffic, options.only, options.ids_in_memory)
    except (PartError, BrokerError, TimeoutError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 3
    sample = next(traffic.chunks())
    run = Run(traffic, sum(map(len, sample)) / len(sample), parts, figures, options.date, load_before)
    run.show()
    if options.only == tuple(PARTS):
        run.write()
    else:
        print("results.json is not changed: it has complete runs only")
    return 1 if run.misses() else 0


def _missing(names: tuple[str, ...]) -> str | None:
    """What the chosen parts lack on this machine, None if they lack nothing."""
    lacking = kafka_is_missing()
    if lacking is not None:
        return f"it needs a real Kafka, but {lacking}"
    return flink_is_missing() if "flink" in names else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--events", type=int, default=600_000, help="events in the topic (600,000)")
    parser.add_argument("--targets", type=int, default=100_000, help="number of targets (100,000)")
    parser.add_argument("--span-seconds", type=int, default=30, help="event time they span (30: 20,000 a second)")
    parser.add_argument("--ids", action=argparse.BooleanOptionalAction, default=True, help="events have ids")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--ids-in-memory", type=int, default=5_000_000, help="random ids of the memory part (5,000,000)"
    )
    parser.add_argument("--date", help="date for the results; the benchmark does not read the system's")
    parser.add_argument("--only", type=_names, default=tuple(PARTS), help=f"parts to run, of: {','.join(PARTS)}")
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    names = text.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    return tuple(name for name in PARTS if name in names)


class Bench:
    """One method per part, and what they share: the traffic, the broker, and a directory for files."""

    def __init__(self, traffic: Traffic, scratch: Path, ids_in_memory: int) -> None:
        self.traffic = traffic
        self.ids_in_memory = ids_in_memory
        self.scratch = scratch
        self.deadline = START_SECONDS + traffic.events / SLOWEST_EVENTS_S
        self.servers = ""
        self._alone: Measured | None = None
        self.figures: dict[str, dict[str, Any]] = {}
        """further figures of parts that return events per second"""

    def ceiling(self) -> Measured:
        """Measure aiokafka with a decoder and nothing else."""
        records = str(self.traffic.events + topic.PARTITIONS)
        return measured.run("ceiling", self.servers, records, deadline_seconds=self.deadline)

    def per_message(self) -> Measured:
        """Measure a Faust agent, one message at a time, with the detectors of an earlier commit."""
        arguments = self.servers, str(PER_MESSAGE_SECONDS)
        return measured.run("per_message", *arguments, deadline_seconds=self.deadline, root=self._earlier())

    def quix(self) -> Measured:
        """Measure Quix Streams with its state store, with the detectors of an earlier commit."""
        arguments = self.servers, topic.TOPIC, str(self.traffic.events), str(self.scratch / "quix")
        deadline = 400 + self.deadline
        return measured.run("quix", *arguments, deadline_seconds=deadline, python=quix_python(), root=self._earlier())

    def _earlier(self) -> Path:
        tree = self.scratch / "earlier"
        return tree if tree.exists() else earlier_tree(tree)

    def flink(self) -> Measured:
        """Measure a Flink job in its last pass, when the JVM has compiled it. The first pass becomes a figure."""
        passes = job.measure(
            self.servers,
            topic.TOPIC,
            self.traffic.events,
            self.scratch / "flink",
            deadline_seconds=self.deadline,
        )
        self.figures["flink_first_pass"] = {
            "events_s": round(passes[0].events_s),
            "cpu_us_per_event": round(passes[0].cpu_us, 2),
        }
        return passes[-1]

    def truecount(self) -> Measured:
        """Measure one worker process, without the role actors."""
        self._alone = self._workers(1)
        return self._alone

    def all_roles(self) -> dict[str, Any]:
        """Measure one worker process with the role actors, and compare it with one without."""
        without = self._alone or self._workers(1)
        worker = Worker(self.servers, self.scratch / "roles", app="roles", actors=True)
        found = worker.measure(self.traffic.events, self.deadline)
        _check(worker.counted(), self.traffic.events)
        return {
            "events_s": round(found.events_s),
            "cpu_us_per_event": round(found.cpu_us, 2),
            "slowdown": round(without.events_s / found.events_s, 2),
        }

    def two_workers(self) -> Measured | None:
        """Measure two worker processes; None if there are fewer than CORES_FOR_TWO cores."""
        return self._workers(2) if (os.cpu_count() or 1) >= CORES_FOR_TWO else None

    def _workers(self, processes: int) -> Measured:
        name = f"bench{processes}"
        worker = Worker(self.servers, self.scratch / name, app=name, processes=processes)
        found = worker.measure(self.traffic.events, self.deadline)
        _check(worker.counted(), self.traffic.events)
        return found

    def core(self) -> Measured:
        """Measure the core without a broker."""
        traffic = self.traffic
        shape = (traffic.events, traffic.targets, traffic.span_seconds, int(traffic.ids), traffic.seed)
        return measured.run("core", *map(str, shape), deadline_seconds=self.deadline)

    def live(self) -> dict[str, Any]:
        """Measure the CPU time per event with few and with many live targets."""
        costs = [
            measured.run("live", str(LIVE_EVENTS), str(n), str(self.traffic.seed), deadline_seconds=OWN_SECONDS).cpu_us
            for n in LIVE_TARGETS
        ]
        few, many = costs
        return {
            "live_10k_cpu_us_per_event": round(few, 2),
            "live_1m_cpu_us_per_event": round(many, 2),
            "live_ratio": round(many / few, 2),
        }

    def memory(self) -> dict[str, Any]:
        """Measure resident memory with many random ids, on a broker of its own."""
        line = measured.last_line_of("memory", str(self.ids_in_memory), deadline_seconds=OWN_SECONDS)
        figures: dict[str, Any] = msgspec.json.decode(line)
        return figures


def _own(name: str, *arguments: object) -> Callable[[Bench], dict[str, Any]]:
    """A part with its own traffic, and its own broker if it needs one. It prints its figures as a line of JSON."""

    def run(_: Bench) -> dict[str, Any]:
        line = measured.last_line_of(name, *map(str, arguments), deadline_seconds=OWN_SECONDS)
        figures: dict[str, Any] = msgspec.json.decode(line)
        return figures

    return run


PARTS: dict[str, Callable[[Bench], Measured | dict[str, Any] | None]] = {
    "ceiling": Bench.ceiling,
    "per_message": Bench.per_message,
    "quix": Bench.quix,
    "flink": Bench.flink,
    "truecount": Bench.truecount,
    "all_roles": Bench.all_roles,
    "two_workers": Bench.two_workers,
    "core": Bench.core,
    "live": Bench.live,
    "day": _own("real_days", "day", DAY_SHARE),
    "sparse": _own("real_days", "sparse", SPARSE_SHARE),
    "tick": _own("real_days", "tick"),
    "closing": _own("closing"),
    "compiled": _own("compiled"),
    "stages": _own("stages"),
    "latency": _own("latency", LATENCY_EVENTS_S),
    "across": _own("latency", LATENCY_EVENTS_S, "across"),
    "across_rise": _own("latency", LATENCY_EVENTS_S, "across_rise"),
    "restore": _own("restore"),
    "memory": Bench.memory,
    "memory_accounts": _own("memory", 1_000_000, 128, 64),
    "memory_returning": _own("memory", "returning"),
    "relations": _own("relations"),
}
ON_THE_TOPIC = ("ceiling", "per_message", "quix", "flink", "truecount", "all_roles", "two_workers")


def _measure(
    traffic: Traffic, names: tuple[str, ...], ids_in_memory: int
) -> tuple[dict[str, Measured], dict[str, dict[str, Any]]]:
    parts: dict[str, Measured] = {}
    figures: dict[str, dict[str, Any]] = {}

    def run(bench: Bench, chosen: list[str]) -> None:
        for name in chosen:
            _log(name)
            found = PARTS[name](bench)
            if isinstance(found, Measured):
                parts[name] = found
            elif found is not None:
                figures[name] = found
        figures.update(bench.figures)

    with tempfile.TemporaryDirectory(prefix="truecount-bench-") as scratch:
        bench = Bench(traffic, Path(scratch), ids_in_memory)
        here = [name for name in names if name in ON_THE_TOPIC]
        if here:
            kafka = KafkaServer(Path(scratch) / "kafka", kafka_jars())
            kafka.start()
            try:
                bench.servers = kafka.address.servers
                _log(f"Kafka {kafka.pid} at {bench.servers}; sending {traffic.events:,} events")
                topic.fill(bench.servers, traffic, _closing_ts_ms(traffic))
                run(bench, here)
            finally:
                kafka.stop()
        run(bench, [name for name in names if name not in ON_THE_TOPIC])
    return parts, figures


def _closing_ts_ms(traffic: Traffic) -> int:
    """Time of a last event that closes the tick of the events before it and publishes their counts."""
    time_settings = Settings().time
    margin = time_settings.lateness_seconds + time_settings.tick_seconds + time_settings.counts_seconds
    return traffic.last_ts_ms() + round((margin + 1) * 1000)


def _check(counted: int, sent: int) -> None:
    """Raise PartError if the audited counts are not complete: a fast wrong result is not measured."""
    if counted != sent:
        raise PartError(f"the audited counts' raw sum is {counted:,}, but {sent:,} events were sent")


def _log(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
