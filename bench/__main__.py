"""``python -m bench``: all parts over one topic of one Kafka, a table, and bench/results.json.

Exit codes: 0 the promised ratio holds, 1 it does not, 2 usage, 3 a part gave no figure.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from bench import measured, topic
from bench.events import Traffic
from bench.measured import Measured, PartError
from bench.report import Run
from bench.worker import Worker
from tests.brokers import BrokerError, KafkaServer, kafka_is_missing, kafka_jars

PER_MESSAGE_SECONDS = 15.0
SLOWEST_EVENTS_S = 4_000
"""A part slower than this is given up: nothing we promise could hold then."""
START_SECONDS = 60.0


def main() -> int:
    """Answers the exit code."""
    options = _options()
    lacking = kafka_is_missing()
    if lacking is not None:
        print(f"bench: it needs a real Kafka, and {lacking}", file=sys.stderr)
        return 3
    traffic = Traffic(options.events, options.targets, options.span_seconds, options.ids, options.seed)
    load_before = os.getloadavg()[0]
    try:
        parts = _measure(traffic)
    except (PartError, BrokerError, TimeoutError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 3
    sample = next(traffic.chunks())
    run = Run(traffic, sum(map(len, sample)) / len(sample), parts, options.date, load_before)
    run.show()
    run.write()
    return 0 if run.kept else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--events", type=int, default=600_000, help="events in the topic (600,000)")
    parser.add_argument("--targets", type=int, default=100_000, help="targets they are of (100,000)")
    parser.add_argument("--span-seconds", type=int, default=30, help="event time they span (30: 20,000 a second)")
    parser.add_argument("--ids", action=argparse.BooleanOptionalAction, default=True, help="events carry ids")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--date", help="written into the results; the bench reads no calendar")
    return parser.parse_args()


def _measure(traffic: Traffic) -> dict[str, Measured]:
    deadline = START_SECONDS + traffic.events / SLOWEST_EVENTS_S
    parts: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory(prefix="truecount-bench-") as scratch:
        kafka = KafkaServer(Path(scratch) / "kafka", kafka_jars())
        kafka.start()
        try:
            servers = kafka.address.servers
            worker = Worker(servers, Path(scratch) / "worker")
            time_settings = worker.settings.time
            margin = time_settings.lateness_seconds + time_settings.tick_seconds + time_settings.counts_seconds
            closing_ts_ms = traffic.last_ts_ms() + round((margin + 1) * 1000)
            _say(f"Kafka {kafka.pid} at {servers}; sending {traffic.events:,} events")
            topic.fill(servers, traffic, closing_ts_ms)
            records = str(traffic.events + topic.PARTITIONS)
            _say("ceiling")
            parts["ceiling"] = measured.run("ceiling", servers, records, deadline_seconds=deadline)
            _say("one message at a time")
            parts["per_message"] = measured.run(
                "per_message", servers, str(PER_MESSAGE_SECONDS), deadline_seconds=deadline
            )
            _say("truecount")
            parts["truecount"] = worker.measure(traffic.events, deadline)
            _check(worker.counted(), traffic.events)
        finally:
            kafka.stop()
    _say("core")
    shape = (traffic.events, traffic.targets, traffic.span_seconds, int(traffic.ids), traffic.seed)
    parts["core"] = measured.run("core", *map(str, shape), deadline_seconds=deadline)
    return parts


def _check(counted: int, sent: int) -> None:
    """A fast wrong answer is no figure."""
    if counted != sent:
        raise PartError(f"the audited counts' raw sum is {counted:,}, but {sent:,} events were sent")


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
