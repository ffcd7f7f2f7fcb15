"""Records faults.yml anew: ``python -m tests.deploy.recorded [GROUP …]``. Needs Java, Maven and root (a small disk).

It takes five minutes. A group is a function of ``tests.deploy.recorded.faults``; what other groups recorded stays.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.testbed.brokers import KafkaServer, kafka_jars
from tests.deploy.recorded import faults, promtool_file
from tests.deploy.recorded.promtool_file import Fault

GROUPS: tuple[Callable[[KafkaServer, Path], Iterable[Fault]], ...] = (
    faults.one_worker,
    faults.damaged_state,
    faults.restarts,
    faults.backlog,
    faults.outage,  # it kills the broker, so it is the last one
)


def main(names: list[str]) -> None:
    """Start a Kafka, cause one fault after the other, and write the file."""
    found: list[Fault] = []
    with tempfile.TemporaryDirectory(prefix="truecount-faults-") as scratch:
        server = KafkaServer(Path(scratch) / "kafka", kafka_jars())
        server.start()
        try:
            for group in GROUPS:
                if names and group.__name__ not in names:
                    continue
                directory = Path(scratch) / group.__name__
                directory.mkdir()
                for fault in group(server, directory):
                    sys.stdout.write(f"{fault.name}: {len(fault.recording.scrapes)} scrapes\n")
                    sys.stdout.flush()
                    found.append(fault)
        finally:
            server.stop()
    promtool_file.write(found, keep=bool(names))


if __name__ == "__main__":
    main(sys.argv[1:])
