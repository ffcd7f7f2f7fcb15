"""A worker's web server whose metrics all move: ``python -m tests.deploy.pretend_worker`` prints its address.

A process of its own, because truecount's metrics are one registry a process and other tests read theirs.
"""

from __future__ import annotations

import itertools
import sys
import time

from prometheus_client import Counter, Gauge, Histogram

from detectors.controls import KINDS
from detectors.events.event import METRICS
from detectors.relations.relation_entry import UNDO_RESULTS
from streams import metrics
from streams.deadletters import SKIPPED, UNREAD, Why
from streams.grammar.fields import OPTIONAL
from streams.metric_series import COUNT_PARTS, OUTPUTS
from streams.roles import ROLES
from streams.service.probes import Web

LABELS: dict[str, tuple[str, ...]] = {
    "role": tuple(ROLES),
    "topic": ("views", "truecount.by-target"),
    "partition": ("0", "1"),
    "metric": METRICS,
    "reason": (*Why, *SKIPPED, *UNREAD),
    "field": OPTIONAL,
    "part": COUNT_PARTS,
    "to": ("valid", "quarantined", "few_networks"),
    "output": OUTPUTS,
    "verdict": ("suspect", "artificial", "explained", "rule", "failed"),
    "status": ("opened", "updated", "closed", "reversed"),
    "outcome": ("committed", "failed"),
    "detector": ("surge", "accounts"),
    "version": ("0.0.0",),
    "config": ("sha256:0",),
    "kind": KINDS,
    "found": UNDO_RESULTS,
}
"""A value or two for every label; a new label needs a line."""

STEP_SECONDS = 0.2


def move() -> None:
    """Touch every series of every metric once."""
    for collector in list(vars(metrics).values()):
        if not isinstance(collector, Counter | Gauge | Histogram):
            continue
        for values in itertools.product(*(LABELS[name] for name in collector._labelnames)):
            series = collector.labels(*values) if values else collector
            if isinstance(series, Counter):
                series.inc()
            elif isinstance(series, Histogram):
                series.observe(0.03)
            else:
                series.set(time.time() if collector._name.endswith("_time_seconds") else 1)
    metrics.LAST_PROGRESS.set_to_current_time()


if __name__ == "__main__":
    web = Web(
        host="127.0.0.1",
        port=0,
        registry=metrics.REGISTRY,
        live=lambda: (True, "pretending"),
        ready=lambda: (True, "pretending"),
    )
    move()
    web.start()
    sys.stdout.write(f"{web.url}\n")
    sys.stdout.flush()
    while True:
        time.sleep(STEP_SECONDS)
        move()
