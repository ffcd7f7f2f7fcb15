"""Asks a Prometheus what panels, marks and alerts ask."""

from __future__ import annotations

import re
from typing import Any

from tests.deploy.prometheus_server import PrometheusServer
from tests.deploy.promql import with_window
from tests.observe.picture import Line, Mark, Span

_COMPARISON = re.compile(r"(==|!=|>=|<=|>|<)(?!\s*bool\b)(?=\s*[\d(])")
_SET_OPERATOR = re.compile(r"\s(?:and|or|unless)\s+(?:on\s*\([^)]*\)\s*)?")
_OFFSET = re.compile(r"\boffset\s+\w+")


def panel_lines(prometheus: PrometheusServer, panel: dict[str, Any], *, window: str, span: Span) -> list[Line]:
    """All lines of a panel over a span of time. A single value has one point. Raises LookupError if there are none."""
    lines: list[Line] = []
    for target in panel["targets"]:
        expr = with_window(target["expr"], window)
        found = prometheus.query(expr) if target["instant"] else prometheus.query_between(expr, span.start, span.end)
        if not found:
            raise LookupError(expr)
        for series in found:
            points = [series["value"]] if target["instant"] else series["values"]
            lines.append(
                Line(
                    legend(target["legendFormat"], series["metric"]),
                    [(float(at), float(value)) for at, value in points],
                )
            )
    return lines


def legend(form: str, labels: dict[str, str]) -> str:
    """The legend of a series.

    >>> legend("{{role}} p95", {"role": "ingest"})
    'ingest p95'
    """
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), form)


def marks(prometheus: PrometheusServer, annotation: dict[str, Any], span: Span) -> list[Mark]:
    """The moments of an annotation: where one begins. Raises LookupError if there are none."""
    found = prometheus.query_between(annotation["expr"], span.start, span.end)
    if not found:
        raise LookupError(annotation["expr"])
    return [Mark(float(series["values"][0][0]), annotation["iconColor"]) for series in found]


def parts_of(alert: str) -> list[str]:
    """What an alert compares: each part has data also while nothing is wrong. Offsets reach beyond a short run.

    >>> parts_of('a / b > 0.1 and rate(c[5m] offset 1h) > 1')
    ['a / b > bool 0.1', 'rate(c[5m] ) > bool 1']
    >>> parts_of('sum(d > 0) == 0 unless on (job) e == 1'), parts_of('absent(up{job="truecount"})')
    (['sum(d > bool 0) == bool 0', 'e == bool 1'], ['up{job="truecount"}'])
    """
    absent = re.fullmatch(r"absent\((.*)\)", alert.strip())
    if absent:
        return [absent[1]]
    alert = _OFFSET.sub("", alert)
    return [_COMPARISON.sub(r"\1 bool", part).strip() for part in _outer_parts(alert)]


def _outer_parts(expr: str) -> list[str]:
    """The operands of the set operators that are in no parentheses."""
    parts, begin, at = [], 0, 0
    while at < len(expr):
        found = _SET_OPERATOR.match(expr, at)
        if found and _depth(expr[:at]) == 0:
            parts.append(expr[begin:at])
            begin = at = found.end()
        else:
            at += 1
    return [*parts, expr[begin:]]


def _depth(text: str) -> int:
    return text.count("(") - text.count(")")
