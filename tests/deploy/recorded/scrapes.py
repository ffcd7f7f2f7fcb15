"""Scrapes of a worker, and promtool series made of them."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.deploy.promql import metric_names

SECONDS = 2
"""Between two scrapes, and between two samples of a promtool series."""

CONTINUED_SECONDS = 1_800
"""How long a fault goes on after its last scrape: gauges keep their values, and counters their mean rate."""

TIMES = ("_time_seconds", "_timestamp_seconds")
"""Ends of the names of gauges with a moment. In promtool's tests time begins at 0, so they are shifted."""

SUFFIXES = ("_total", "_bucket", "_sum", "_count")
"""Ends of the names of series that grow."""


def names_of(expr: str, rules: list[dict[str, Any]]) -> set[str]:
    """The metrics that an expression needs, also through recorded series."""
    recorded = {rule["record"]: rule["expr"] for rule in rules if "record" in rule}
    found: set[str] = set()
    for name in metric_names(expr):
        found |= names_of(recorded[name], rules) if name in recorded else {name}
    return found


@dataclass(slots=True)
class Recording:
    """The scrapes of one worker, a scrape every SECONDS. The first ``healthy`` ones are from before the fault."""

    address: str
    """of the worker's /metrics; it may change while a recording runs"""
    started: float = field(default_factory=time.time)
    scrapes: list[dict[str, float]] = field(default_factory=list)
    healthy: int = 0

    def take(self, scrapes: int, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Scrape so often, at regular times; ``meanwhile`` runs after each scrape and must take less time."""
        missed = int((time.time() - self.started) / SECONDS) - len(self.scrapes)
        self.scrapes += [{} for _ in range(missed)]
        for _ in range(scrapes):
            time.sleep(max(0.0, self.started + SECONDS * len(self.scrapes) - time.time()))
            self.scrapes.append(self._scrape())
            meanwhile()

    def fault(self) -> None:
        """From now on the fault is there."""
        self.healthy = len(self.scrapes)

    def _scrape(self) -> dict[str, float]:
        try:
            with urllib.request.urlopen(self.address, timeout=2) as answer:  # noqa: S310  # loopback
                lines = answer.read().decode().splitlines()
        except OSError:
            return {"up": 0.0}
        samples = (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")
        return {"up": 1.0} | {name: float(value) for name, value in samples}

    def series(self, names: set[str]) -> dict[str, str]:
        """The series of some metrics in promtool's notation."""
        wanted = {name: None for scrape in self.scrapes for name in scrape if name.partition("{")[0] in names}
        return {_labelled(name): self._values(name) for name in sorted(wanted)}

    def _values(self, name: str) -> str:
        metric = name.partition("{")[0]
        shift = self.started if metric.endswith(TIMES) else 0.0
        values = [scrape[name] - shift if name in scrape else None for scrape in self.scrapes]
        words = ["_" if value is None else f"{value:.12g}" for value in values]
        last = values[-1]
        if last is None:
            return " ".join(words)
        step = self._rate(values) if metric.endswith(SUFFIXES) else 0.0
        return " ".join([*_short(words[:-1]), f"{last:.12g}+{step:.12g}x{CONTINUED_SECONDS // SECONDS}"])

    def _rate(self, values: list[float | None]) -> float:
        """By how much a counter grew from one scrape to the next, since the fault began or the worker started again."""
        known = [(at, value) for at, value in enumerate(values) if value is not None and at >= self.healthy]
        restarts = [at for (at, value), (_, before) in zip(known[1:], known, strict=False) if value < before]
        known = [(at, value) for at, value in known if not restarts or at >= restarts[-1]]
        (first, begin), (last, end) = known[0], known[-1]
        return (end - begin) / (last - first) if last > first else 0.0


def _labelled(name: str) -> str:
    """A series with the labels that Prometheus adds to a target."""
    metric, _, labels = name.partition("{")
    added = 'job="truecount", instance="worker"'
    return f"{metric}{{{added}, {labels}" if labels else f"{metric}{{{added}}}"


def _short(words: list[str]) -> list[str]:
    """Repeated values in promtool's short form.

    >>> _short(["0", "0", "0", "_", "2"])
    ['0x2', '_', '2']
    """
    short: list[str] = []
    at = 0
    while at < len(words):
        end = at
        while end < len(words) and words[end] == words[at]:
            end += 1
        count = end - at
        short.append(words[at] if count == 1 else f"_x{count}" if words[at] == "_" else f"{words[at]}x{count - 1}")
        at = end
    return short
