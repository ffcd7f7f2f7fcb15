"""A panel of a dashboard, and the PromQL that panels share."""

from __future__ import annotations

from dataclasses import dataclass

EVENTS_PER_SECOND = "evt/s"

INSTANCE = 'instance=~"$instance"'
"""Matches the workers that are chosen on the dashboard Operations."""

CARRIED_FOR = "10m"
"""For so long the last values of a partition without an owner are shown: a restart, or a rebalance."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; ``queries`` are pairs of PromQL and legend."""

    title: str
    description: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    stacked: bool = False
    core: bool = False
    """has data as soon as a worker audits events; the other panels may stay empty"""
    warn_below: float | None = None
    warn_above: float | None = None
    colors: tuple[tuple[str, str], ...] = ()
    """legend → color, where a color has a meaning"""


def chosen(selector: str) -> str:
    """A selector, of the chosen workers only.

    >>> chosen("a_total"), chosen('a_total{b="c"}')
    ('a_total{instance=~"$instance"}', 'a_total{b="c", instance=~"$instance"}')
    """
    return f"{selector[:-1]}, {INSTANCE}}}" if selector.endswith("}") else f"{selector}{{{INSTANCE}}}"


def process(name: str) -> str:
    """A metric of the processes of the chosen workers. Every program has metrics of these names."""
    return chosen(f'{name}{{job="truecount"}}')


def rate(selector: str, *labels: str) -> str:
    """PromQL of a counter's rate per second, summed over everything but the labels."""
    return f"sum{_by(labels)}(rate({selector}[$__rate_interval]))"


def in_last_hour(selector: str, *labels: str) -> str:
    """PromQL of a counter's increase in the hour before each moment, for what is rare."""
    return f"sum{_by(labels)}(increase({selector}[1h]))"


def quantile(q: float, metric: str, *labels: str, only: str = "") -> str:
    """PromQL of a histogram's quantile; ``only`` is a matcher."""
    buckets = f"{metric}_bucket" + (f"{{{only}}}" if only else "")
    return f"histogram_quantile({q}, sum by ({', '.join((*labels, 'le'))}) (rate({buckets}[$__rate_interval])))"


def carried(metric: str, *labels: str) -> str:
    """PromQL of a gauge that each partition's owner has, summed over partitions.

    Between two owners the partition's last values are taken, so the sum does not fall. While an old owner's series
    overlaps with the new one's, the larger is taken, so nothing is counted twice.
    """
    of_one = f"max by ({', '.join(('partition', *labels))})"
    return f"({of_one} ({metric}) or {of_one} (last_over_time({metric}[{CARRIED_FOR}])))"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""
