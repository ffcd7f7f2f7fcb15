"""The pictures of `make observe` show what a dashboard's JSON and its series say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deploy.grafana.build_dashboards import DASHBOARDS, built
from tests.deploy.recorded.promtool_file import rules
from tests.observe.picture import NAMED, PALETTE, Line, Mark, Span, draw
from tests.observe.questions import parts_of

SPAN = Span(1_000.0, 1_120.0)
AUDIT = next(built(each) for each in DASHBOARDS if each.name == "audit")

NEAR = 24
"""A picture has 256 colors, so each may be a little off."""


class Colors(set[tuple[int, int, int]]):
    """The colors of a picture."""

    def has(self, color: str) -> bool:
        """Whether a color is among them, or one that looks the same."""
        wanted = bytes.fromhex(color.lstrip("#"))
        return any(max(abs(a - b) for a, b in zip(one, wanted, strict=True)) < NEAR for one in self)


def panel(kind: str, **more: Any) -> dict[str, Any]:
    """A panel of the dashboard of this kind, alone on its page."""
    found = next(each for each in AUDIT["panels"] if each["type"] == kind and not each["fieldConfig"]["overrides"])
    return {**found, "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8}, **more}


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[..., Colors]:
    """Draw one panel, and return the colors of the picture."""

    def draw_one(one: dict[str, Any], lines: list[Line], marks: tuple[Mark, ...] = ()) -> Colors:
        path = tmp_path / "one.png"
        draw({**AUDIT, "panels": [one]}, {one["id"]: lines}, path, marks=marks, span=SPAN)
        image = Image.open(path).convert("RGB")
        assert image.width > 1_000
        raw = image.tobytes()
        return Colors(zip(raw[::3], raw[1::3], raw[2::3], strict=True))

    return draw_one


def test_each_line_has_a_color(drawn: Callable[..., Colors]) -> None:
    points = [(1_000.0 + at, float(at)) for at in range(100)]
    lines = [Line(f"line {n}", [(at, value + 40 * n) for at, value in points]) for n in range(3)]
    one, three = drawn(panel("timeseries"), lines[:1]), drawn(panel("timeseries"), lines)
    assert one.has(PALETTE[0])
    assert not one.has(PALETTE[2])
    assert all(three.has(color) for color in PALETTE[:3])


def test_a_color_that_a_panel_gives_is_taken(drawn: Callable[..., Colors]) -> None:
    raw = next(each for each in AUDIT["panels"] if each["fieldConfig"]["overrides"])
    lines = [Line("undone", [(1_000.0, 5.0), (1_100.0, 5.0)])]
    one = {**raw, "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8}}
    assert not drawn(one, lines).has(PALETTE[0])
    assert drawn(one, lines).has(NAMED["gray"])


def test_a_value_beyond_its_threshold_has_the_color_of_the_threshold(drawn: Callable[..., Colors]) -> None:
    one = panel("stat")
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 5}]
    one["fieldConfig"]["defaults"]["thresholds"] = {"mode": "absolute", "steps": steps}
    assert drawn(one, [Line("bad", [(1_000.0, 5.0)])]).has(NAMED["red"])
    assert not drawn(one, [Line("good", [(1_000.0, 4.0)])]).has(NAMED["red"])


def test_marks_are_drawn_in_their_color(drawn: Callable[..., Colors]) -> None:
    lines = [Line("flat", [(1_000.0, 0.0), (1_120.0, 0.0)])]
    assert not drawn(panel("timeseries"), lines).has(NAMED["orange"])
    assert drawn(panel("timeseries"), lines, (Mark(1_060.0, "orange"),)).has(NAMED["orange"])


def test_a_panel_without_data_and_values_that_are_no_numbers_are_drawn(drawn: Callable[..., Colors]) -> None:
    assert drawn(panel("timeseries"), [])
    assert drawn(panel("stat"), [])
    assert drawn(panel("timeseries"), [Line("none", [(1_000.0, float("nan")), (1_001.0, 1.0)])])


def test_every_alert_is_asked_in_parts_that_have_data_while_nothing_is_wrong() -> None:
    for rule in rules():
        if "alert" not in rule:
            continue
        parts = parts_of(rule["expr"])
        assert parts
        for part in parts:
            assert part.count("(") == part.count(")"), part
            assert "absent(" not in part
