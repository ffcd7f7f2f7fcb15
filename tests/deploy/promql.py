"""Enough of PromQL to say which metrics an expression names. Whether it parses is for Prometheus to say."""

from __future__ import annotations

import re

from prometheus_client import CollectorRegistry

SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("", "_sum", "_count"),
}

PROMETHEUS_OWN = frozenset({"up"})

_NOT_NAMES = re.compile(
    r'"(?:[^"\\]|\\.)*"'  # strings
    r"|\{[^}]*\}"  # label matchers
    r"|\[[^\]]*\]"  # ranges
    r"|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"  # labels
    r"|\boffset\s+\w+"
    r"|\b(?:and|or|unless|bool|group_left|group_right)\b"
    r"|\b\d[\w.]*"
)
_NAME = re.compile(r"[a-zA-Z_:][\w:]*(?!\s*\()\b(?![\w:]*\s*\()")


def metric_names(expr: str) -> set[str]:
    """Names of the metrics in an expression.

    >>> sorted(metric_names('sum by (role) (rate(a_total{x="y(z"}[5m])) / on (job) b:c > 5 * (e offset 1h)'))
    ['a_total', 'b:c', 'e']
    """
    return set(_NAME.findall(_NOT_NAMES.sub(" ", _NOT_NAMES.sub(" ", expr))))


def exposed_names(registry: CollectorRegistry) -> set[str]:
    """Names under which Prometheus stores what a registry exposes, whether or not it has a series yet."""
    return {family.name + suffix for family in registry.collect() for suffix in SUFFIXES.get(family.type, ("",))}


def with_window(expr: str, window: str) -> str:
    """A panel's expression as Grafana would send it, for all workers."""
    return expr.replace("$__rate_interval", window).replace("$instance", ".*")
