"""Draws a dashboard as a picture: its panels on Grafana's grid, with title, unit, legend and marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from tests.observe.units import AXIS, shown

SCALE = 2
"""Drawn twice as large and then reduced, so that lines are smooth."""
UNIT_WIDTH, UNIT_HEIGHT, GAP = 66, 40, 6
"""Pixels of one step of Grafana's grid of 24 columns, and between two panels."""
HEAD_HEIGHT = 64
LEGEND_MAX = 12
MISSING_SECONDS = 5
"""A line has a gap where points are missing for so long."""

BASES = {"s": (60, 3600, 86_400), "bytes": (1 << 10, 1 << 20, 1 << 30)}
"""Unit → the sizes of the larger units in which values are shown."""

SHADES = 11
"""Steps from a color to white, for edges and areas."""

PAPER, PANEL, INK, QUIET, GRID = "#eef0f3", "#ffffff", "#1f2328", "#57606a", "#dfe3e8"
NAMED = {
    "green": "#3fa34d",
    "orange": "#e8860c",
    "red": "#d1242f",
    "gray": "#9aa3ad",
    "blue": "#0969da",
}
PALETTE = (
    "#0969da", "#bc4c00", "#3fa34d", "#8250df", "#d1242f", "#1b7c83", "#bf8700", "#e85aad", "#57606a", "#5b8def",
    "#7d4e00", "#2da44e",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A series of a panel: its legend, and its points (unix seconds, value)."""

    legend: str
    points: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Mark:
    """An annotation: its moment and its color."""

    at: float
    color: str


@dataclass(frozen=True, slots=True)
class Span:
    """The time that all panels show, in unix seconds."""

    start: float
    end: float


def draw(
    dashboard: dict[str, Any], lines: dict[int, list[Line]], path: Path, *, marks: Sequence[Mark], span: Span
) -> None:
    """Draw a dashboard into a PNG file. ``lines`` are those of each panel, by its id."""
    panels = dashboard["panels"]
    width = 24 * UNIT_WIDTH + GAP
    height = HEAD_HEIGHT + max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels) * UNIT_HEIGHT + GAP
    canvas = _Canvas(width, height)
    canvas.text(GAP + 6, 8, dashboard["title"], 22, INK)
    canvas.text(GAP + 6, 38, f"{dashboard['description']} {_legend_of_marks(dashboard)}", 13, QUIET)
    for panel in panels:
        place = panel["gridPos"]
        box = _Box(
            GAP + place["x"] * UNIT_WIDTH,
            HEAD_HEIGHT + place["y"] * UNIT_HEIGHT,
            place["w"] * UNIT_WIDTH - GAP,
            place["h"] * UNIT_HEIGHT - GAP,
        )
        canvas.box(box, PANEL)
        if panel["type"] == "stat":
            _draw_stat(canvas, box, panel, lines[panel["id"]])
        else:
            _draw_chart(canvas, box, panel, lines=lines[panel["id"]], marks=marks, span=span)
    canvas.save(path)


def _legend_of_marks(dashboard: dict[str, Any]) -> str:
    marks = [f"{each['name'].lower()} ({each['iconColor']})" for each in dashboard["annotations"]["list"]]
    return f"Vertical lines: {', '.join(marks)}."


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float
    w: float
    h: float


class _Canvas:
    """An image, drawn in the pixels of the finished picture."""

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
        self._draw = ImageDraw.Draw(self._image, "RGBA")
        self._fonts: dict[int, Any] = {}

    def _font(self, size: int) -> Any:
        if size not in self._fonts:
            self._fonts[size] = ImageFont.load_default(size * SCALE)
        return self._fonts[size]

    def width_of(self, text: str, size: int) -> float:
        return float(self._font(size).getlength(text)) / SCALE

    def text(self, x: float, y: float, text: str, size: int, color: str, *, anchor: str = "la") -> None:
        self._draw.text((x * SCALE, y * SCALE), text, font=self._font(size), fill=color, anchor=anchor)

    def fitting(self, text: str, size: int, width: float) -> str:
        """The text, cut to a width."""
        while text and self.width_of(text, size) > width:
            text = text[:-2].rstrip(" .…") + "…"
        return text

    def wrapped(self, text: str, size: int, width: float, *, rows: int) -> list[str]:
        """The text in lines of a width; the last line is cut."""
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if len(lines) == rows or self.width_of(longer, size) <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        return [*lines[:-1], self.fitting(lines[-1], size, width)]

    def box(self, box: _Box, color: str) -> None:
        corner = ((box.x + box.w) * SCALE, (box.y + box.h) * SCALE)
        self._draw.rounded_rectangle((box.x * SCALE, box.y * SCALE, *corner), 4 * SCALE, fill=color)

    def line(self, points: Sequence[tuple[float, float]], color: str, width: float = 1.6) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        if len(scaled) == 1:
            (x, y), r = scaled[0], 2 * SCALE
            self._draw.ellipse((x - r, y - r, x + r, y + r), fill=color)
        self._draw.line(scaled, fill=color, width=max(1, round(width * SCALE)), joint="curve")

    def area(self, points: Sequence[tuple[float, float]], color: str) -> None:
        self._draw.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=f"{color}99")

    def save(self, path: Path) -> None:
        size = (self._image.width // SCALE, self._image.height // SCALE)
        small = self._image.resize(size, Image.Resampling.LANCZOS)
        small.quantize(palette=_palette(), dither=Image.Dither.NONE).save(path, optimize=True)


def _palette() -> Image.Image:
    """The colors of a picture: a file is a third as large as with all colors."""
    flat: list[int] = []
    for color in (PANEL, PAPER, GRID, INK, QUIET, *dict.fromkeys((*NAMED.values(), *PALETTE))):
        strong = bytes.fromhex(color.removeprefix("#"))
        for step in range(SHADES):
            flat += [round(part + (255 - part) * step / SHADES) for part in strong]
    found = Image.new("P", (1, 1))
    found.putpalette(flat)
    return found


def _draw_stat(canvas: _Canvas, box: _Box, panel: dict[str, Any], lines: list[Line]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    canvas.text(box.x + 10, box.y + 8, canvas.fitting(panel["title"], 14, box.w - 20), 14, INK)
    found = [(line.legend, line.points[-1][1]) for line in lines if line.points]
    if not found:
        canvas.text(box.x + box.w / 2, box.y + box.h / 2, "no data", 20, QUIET, anchor="mm")
    for index, (legend, value) in enumerate(found):
        x = box.x + box.w * (index + 0.5) / len(found)
        color = NAMED[_threshold_color(defaults["thresholds"]["steps"], value)]
        canvas.text(x, box.y + box.h / 2 + 4, shown(value, defaults["unit"]), 28, color, anchor="mm")
        canvas.text(x, box.y + box.h - 24, legend, 13, QUIET, anchor="mm")


def _threshold_color(steps: list[dict[str, Any]], value: float) -> str:
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return str(reached[-1])


def _colors(panel: dict[str, Any], lines: list[Line]) -> list[str]:
    fixed = {
        each["matcher"]["options"]: NAMED[each["properties"][0]["value"]["fixedColor"]]
        for each in panel["fieldConfig"]["overrides"]
    }
    return [fixed.get(line.legend, PALETTE[index % len(PALETTE)]) for index, line in enumerate(lines)]


def _draw_chart(
    canvas: _Canvas, box: _Box, panel: dict[str, Any], *, lines: list[Line], marks: Sequence[Mark], span: Span
) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    unit = defaults["unit"]
    stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    canvas.text(box.x + 10, box.y + 8, panel["title"], 15, INK)
    axis = AXIS.get(unit, unit) + (", stacked" if stacked else "")
    canvas.text(box.x + box.w - 10, box.y + 10, axis, 12, QUIET, anchor="ra")
    for row, text in enumerate(canvas.wrapped(panel["description"], 11, box.w - 20, rows=2)):
        canvas.text(box.x + 10, box.y + 28 + 14 * row, text, 11, QUIET)
    plot = _Box(box.x + 92, box.y + 66, box.w - 108, box.h - 66 - 66)
    lines = sorted(lines, key=lambda line: -max((v for _, v in line.points if math.isfinite(v)), default=0.0))
    if panel["fieldConfig"]["overrides"]:
        order = [each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]]
        lines.sort(key=lambda line: order.index(line.legend) if line.legend in order else len(order))
    top = _draw_axes(canvas, plot, unit, _stack(lines)[-1:] if stacked else lines, span)
    for mark in marks:
        x = plot.x + plot.w * (mark.at - span.start) / (span.end - span.start)
        for step in range(0, int(plot.h), 8):
            canvas.line([(x, plot.y + step), (x, plot.y + min(step + 4, plot.h))], NAMED[mark.color], 1)
    colors = _colors(panel, lines)
    drawn = _stack(lines) if stacked else lines
    scale = _Scale(plot, span, top)
    for index, (line, color) in enumerate(zip(drawn, colors, strict=True)):
        if stacked:
            below = scale.places(drawn[index - 1]) if index else [[(plot.x, plot.y + plot.h)]]
            _draw_band(canvas, scale.places(line), below, color)
        else:
            for piece in scale.places(line):
                canvas.line(piece, color)
    _draw_legend(canvas, box, plot, unit, list(zip(lines, colors, strict=True)))


def _stack(lines: list[Line]) -> list[Line]:
    """Each line on top of those before it."""
    sums: dict[float, float] = {}
    stacked = []
    times = sorted({at for line in lines for at, _ in line.points})
    for line in lines:
        values = dict(line.points)
        for at in times:
            sums[at] = sums.get(at, 0.0) + values.get(at, 0.0)
        stacked.append(Line(line.legend, [(at, sums[at]) for at in times]))
    return stacked


def _draw_axes(canvas: _Canvas, plot: _Box, unit: str, lines: list[Line], span: Span) -> float:
    """Draw the grid; returns the value at the top."""
    highest = max((v for line in lines for _, v in line.points if math.isfinite(v)), default=0.0)
    top = _round_up(highest, unit) if highest > 0 else 1.0
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = plot.y + plot.h * (1 - share)
        canvas.line([(plot.x, y), (plot.x + plot.w, y)], GRID, 0.8)
        canvas.text(plot.x - 6, y, shown(top * share, unit), 11, QUIET, anchor="rm")
    step = 30 if span.end - span.start < 420 else 60  # seconds; some ten labels
    for at in range(0, int(span.end - span.start) + 1, step):
        x = plot.x + plot.w * at / (span.end - span.start)
        canvas.text(x, plot.y + plot.h + 6, f"{at // 60}:{at % 60:02d}", 11, QUIET, anchor="ma")
    return top


def _round_up(value: float, unit: str) -> float:
    """The next of 1, 2, 4, 6, 8, 10 times a power of ten, in minutes, hours, MiB or GiB where these are shown.

    >>> _round_up(3, "short"), _round_up(130, "s"), _round_up(200 << 20, "bytes") / (1 << 20)
    (4.0, 240.0, 200.0)
    """
    base = max((size for size in BASES.get(unit, ()) if size <= value), default=1)
    value /= base
    power = 10.0 ** math.floor(math.log10(value))
    return base * next(power * step for step in (1, 2, 4, 6, 8, 10) if power * step >= value * 0.999)


Pieces = list[list[tuple[float, float]]]
"""Places on the picture, in pieces."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where values are in a plot whose upper edge is ``top``."""

    plot: _Box
    span: Span
    top: float

    def places(self, line: Line) -> Pieces:
        """The places of a line's points. Values that are no numbers divide it into pieces."""
        plot, span = self.plot, self.span
        pieces: Pieces = [[]]
        before = span.end
        for at, value in line.points:
            if not math.isfinite(value) or at - before > MISSING_SECONDS:
                pieces.append([])
            before = at
            if not math.isfinite(value):
                continue
            x = plot.x + plot.w * (at - span.start) / (span.end - span.start)
            pieces[-1].append((x, plot.y + plot.h * (1 - min(value / self.top, 1.0))))
        return [piece for piece in pieces if piece]


def _draw_band(canvas: _Canvas, upper: Pieces, lower: Pieces, color: str) -> None:
    """Draw a line of a stack, with the area down to the line below it."""
    points, floor = [at for piece in upper for at in piece], [at for piece in lower for at in piece]
    if len(points) != len(floor):  # the lowest line stands on the axis
        floor = [(x, floor[0][1]) for x, _ in points]
    if max((below - y for (_, y), (_, below) in zip(points, floor, strict=True)), default=0.0) > 0:
        canvas.area([*points, *reversed(floor)], color)
        canvas.line(points, color)


def _draw_legend(canvas: _Canvas, box: _Box, plot: _Box, unit: str, lines: list[tuple[Line, str]]) -> None:
    """The legends with their last values; if there are too many, those with the highest values."""
    x, y = box.x + 12, plot.y + plot.h + 24
    if not lines:
        canvas.text(plot.x + plot.w / 2, plot.y + plot.h / 2, "no data", 18, QUIET, anchor="mm")
    for index, (line, color) in enumerate(lines):
        finite = [value for _, value in line.points if math.isfinite(value)]
        text = f"{line.legend}  {shown(finite[-1], unit)}" if finite else line.legend
        if index == LEGEND_MAX:
            text = f"and {len(lines) - LEGEND_MAX} more"
        width = canvas.width_of(text, 12) + 30
        if x + width > box.x + box.w:
            x, y = box.x + 12, y + 16
        if index < LEGEND_MAX:
            canvas.line([(x, y + 7), (x + 12, y + 7)], color, 4)
        canvas.text(x + 17, y, text, 12, INK if index < LEGEND_MAX else QUIET)
        x += width
        if index == LEGEND_MAX:
            return
