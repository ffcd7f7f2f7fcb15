"""Records faults.yml anew: ``python -m tests.deploy.recorded``. Needs Java, Maven and root (for a small disk)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.testbed.brokers import KafkaServer, kafka_jars
from tests.deploy.recorded import faults, promtool_file
from tests.deploy.recorded.promtool_file import Fault


def main() -> None:
    """Start a Kafka, cause one fault after the other, and write the file."""
    found: list[Fault] = []
    with tempfile.TemporaryDirectory(prefix="truecount-faults-") as scratch:
        server = KafkaServer(Path(scratch) / "kafka", kafka_jars())
        server.start()
        try:
            for group in (faults.one_worker, faults.damaged_state, faults.restarts, faults.backlog):
                directory = Path(scratch) / group.__name__
                directory.mkdir()
                for fault in group(server.address, directory):
                    sys.stdout.write(f"{fault.name}: {len(fault.recording.scrapes)} scrapes\n")
                    sys.stdout.flush()
                    found.append(fault)
            directory = Path(scratch) / "outage"
            directory.mkdir()
            found += faults.outage(server, directory)
        finally:
            server.stop()
    promtool_file.FILE.write_text(promtool_file.text(found))


if __name__ == "__main__":
    main()
