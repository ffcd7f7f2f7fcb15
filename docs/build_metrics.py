"""Writes docs/metrics.md from streams/metrics.py: ``python -m docs.build_metrics``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from streams import metrics

PAGE = Path(__file__).with_name("metrics.md")

HEAD = """\
# Metrics

Generated from `streams/metrics.py` by `python -m docs.build_metrics`: change the text there, not here.

A worker serves these at `/metrics`. Every label has a closed set of values. Ids of events, actors and targets are
never labels, so the number of series does not grow with traffic; ids are in the output topics
([events](events.md)). A counter starts from zero when its worker starts; use `rate()` or `increase()`. Every series
whose labels are known exists from the start with value 0. The series of a partition exist while a worker owns it:
`max by (partition, metric, part) (truecount_counted_events)` takes over from one owner to the next.
What to watch, and which alerts there are: [operations](operations.md).

| metric | type | labels | meaning |
|---|---|---|---|
"""


def page() -> str:
    """The page as it should be."""
    return HEAD + "".join(f"| `{name}` | {kind} | {labels} | {text} |\n" for name, kind, labels, text in _rows())


def _rows() -> Iterator[tuple[str, str, str, str]]:
    """(name, type, labels, meaning) of every metric, in the order of the file."""
    for metric in vars(metrics).values():
        if not isinstance(metric, Counter | Gauge | Histogram):
            continue
        (described,) = metric.describe()
        name = f"{described.name}_total" if described.type == "counter" else described.name
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001  # no public name has them
        yield name, described.type, labels or "–", described.documentation
    for described in ProcessCollector(registry=CollectorRegistry()).collect():
        name = f"{described.name}_total" if described.type == "counter" else described.name
        yield name, described.type, "–", described.documentation


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
