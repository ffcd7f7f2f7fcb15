"""Writes a backtest as one self-contained HTML page: figures, and curves as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from itertools import groupby
from typing import NamedTuple

from detectors.lab.measure import Report
from streams.offline.backtest import FIGURE_NAMES, cells_of

Point = tuple[float, float, float]

WIDTH, HEIGHT, MARGIN = 300, 220, 34
COLOURS = ("#0b6e4f", "#c1440e", "#4a5fc1", "#8a6d1d")
LEAST_HIT = 1e-6
"""Share of honest events at which the logarithmic axis begins: one in a million."""


class Axis(NamedTuple):
    """A horizontal axis: its name, the position of a value on it (0 … 1), and its ticks."""

    name: str
    position: Callable[[float], float]
    ticks: tuple[tuple[float, str], ...]


RECALL = Axis("recall", lambda share: share, ((0.0, "0"), (0.5, "0.5"), (1.0, "1")))
HIT = Axis(
    "honest events hit per million",
    lambda share: 1.0 - math.log(max(share, LEAST_HIT)) / math.log(LEAST_HIT),
    ((LEAST_HIT, "≤ 1"), (1e-4, "100"), (1e-2, "10,000"), (1.0, "all")),
)

STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:.5em 0}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left;white-space:nowrap}
svg{margin-right:1.5em}svg text{font-size:11px;fill:#555}"""


def page(reports: list[Report]) -> str:
    """The page of a backtest's reports, scenario by scenario."""
    parts = []
    for (scenario, seed), group in groupby(reports, key=lambda r: (r.scenario, r.seed)):
        mine = list(group)
        parts.append(f"<h2>{escape(scenario)}, seed {seed}</h2>")
        parts.append(
            f"<p>{mine[0].events:,} events, {mine[0].artificial:,} of them artificial, in {mine[0].attacks} attacks</p>"
        )
        parts.append(_table(mine))
        if mine[0].artificial:
            parts.append(_chart(mine, RECALL, "precision", lambda point: (point[0], point[1])))
            parts.append(_chart(mine, HIT, "recall", lambda point: (point[2], point[0])))
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>truecount backtest</title><style>{STYLE}</style>'
        f"<h1>truecount backtest</h1>{body}</html>\n"
    )


def _table(reports: list[Report]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("method", *FIGURE_NAMES))
    rows = []
    for place, report in enumerate(reports):
        swatch = f'<span style="color:{COLOURS[place % len(COLOURS)]}">■</span> '
        cells = "".join(f"<td>{cell}</td>" for cell in cells_of(report))
        rows.append(f"<tr><td>{swatch}{escape(report.method)}</td>{cells}</tr>")
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _chart(reports: list[Report], axis: Axis, y_name: str, at: Callable[[Point], tuple[float, float]]) -> str:
    """A chart with one curve for each method, the first on top. Events never flagged are the last step of a curve."""
    right, bottom = MARGIN + WIDTH, MARGIN + HEIGHT
    lines = [f'<rect x="{MARGIN}" y="{MARGIN}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>']
    for value, text in axis.ticks:
        x = MARGIN + WIDTH * axis.position(value)
        lines.append(f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{text}</text>')
    lines += [
        f'<text x="{MARGIN - 6}" y="{bottom - HEIGHT * tick + 4}" text-anchor="end">{tick:g}</text>'
        for tick in (0.0, 0.5, 1.0)
    ]
    lines.append(f'<text x="{right}" y="{bottom + 28}" text-anchor="end">{axis.name}</text>')
    lines.append(f'<text x="{MARGIN}" y="{MARGIN - 8}">{y_name}</text>')
    for place, report in reversed(list(enumerate(reports))):
        colour = COLOURS[place % len(COLOURS)]
        points = [at(point) for point in report.curve]
        if points and axis is not RECALL:
            points.insert(0, (0.0, 0.0))
        places = [(MARGIN + WIDTH * axis.position(x), bottom - HEIGHT * y) for x, y in points]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        thick = 3 if place == 0 else 1.5
        lines.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="{thick}"/>')
        lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in places[:-1]]
    size = f'width="{right + MARGIN}" height="{bottom + MARGIN}"'
    return f'<svg {size} role="img" aria-label="{y_name} against {axis.name}">{"".join(lines)}</svg>'
