"""Builds the dashboards of dashboards/: ``python -m deploy.grafana.build_dashboards``.

Grafana's JSON is mostly repetition; what a person decides about a panel is in ``operations`` and ``audit``. The schema
is the Classic one, because Grafana 10 to 13 all read it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.grafana import audit, operations
from deploy.grafana.panels import Panel

SCHEMA_VERSION = 39
GRID_WIDTH = 24
DATASOURCE = {"type": "prometheus", "uid": "$datasource"}
OUT = Path(__file__).parent / "dashboards"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard; its file has its name."""

    name: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    by_instance: bool = False
    """whether the workers that are shown can be chosen"""


DASHBOARDS = (
    Dashboard(
        "operations",
        "truecount: Operations",
        "Whether truecount works, how fast, and how far behind.",
        operations.PANELS,
        by_instance=True,
    ),
    Dashboard("audit", "truecount: Audit", "What truecount finds in the counts.", audit.PANELS),
)

PROVISIONED = "truecount-prometheus"
"""The data source that provisioning/ makes."""

ANNOTATION_STEP = "1m"
ANNOTATIONS = (
    (
        "Deployments",
        "blue",
        (
            "count by (version, config) (truecount_build_info)"
            f" unless count by (version, config) (truecount_build_info offset {ANNOTATION_STEP})"
        ),
        "{{version}}",
        "configuration {{config}}",
    ),
    (
        "Flags opened",
        "orange",
        (
            'sum by (metric, verdict) (increase(truecount_flags_total{status="opened", verdict!~"explained|rule"}'
            f"[{ANNOTATION_STEP}])) > 0"
        ),
        "flags opened",
        "{{metric}} {{verdict}}",
    ),
)
"""Name, color, PromQL, title and text of the marks on all charts. They have numbers and never ids."""

DATASOURCE_VARIABLE = {
    "name": "datasource",
    "label": "Data source",
    "type": "datasource",
    "query": "prometheus",
    "current": {"text": "Prometheus", "value": PROVISIONED},
    "hide": 0,
}

INSTANCE_VARIABLE = {
    "name": "instance",
    "label": "Worker",
    "type": "query",
    "datasource": DATASOURCE,
    "query": {"query": "label_values(truecount_ready, instance)", "refId": "instances"},
    "refresh": 2,
    "sort": 1,
    "multi": True,
    "includeAll": True,
    "allValue": ".*",
    "current": {"text": "All", "value": "$__all"},
    "hide": 0,
}


def built(dashboard: Dashboard) -> dict[str, Any]:
    """The whole dashboard in the Classic schema."""
    variables = [DATASOURCE_VARIABLE, *([INSTANCE_VARIABLE] if dashboard.by_instance else [])]
    return {
        "uid": f"truecount-{dashboard.name}",
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["truecount"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "timezone": "browser",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": variables},
        "annotations": {"list": [_annotation(*each) for each in ANNOTATIONS]},
        "links": [
            {"title": "truecount", "type": "dashboards", "tags": ["truecount"], "asDropdown": False, "keepTime": True}
        ],
        "panels": [
            _panel(number, panel, place) for number, (panel, place) in enumerate(_placed(dashboard.panels), start=1)
        ],
    }


def _annotation(name: str, color: str, expr: str, title: str, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": color,
        "expr": expr,
        "step": ANNOTATION_STEP,
        "titleFormat": title,
        "textFormat": text,
    }


def _placed(panels: tuple[Panel, ...]) -> list[tuple[Panel, dict[str, int]]]:
    """Stats six to a row, charts two, left to right in the order given."""
    placed, x, y, row_height = [], 0, 0, 0
    for panel in panels:
        width, height = (4, 4) if panel.kind == "stat" else (12, 8)
        if x + width > GRID_WIDTH or (row_height and height != row_height):
            x, y = 0, y + row_height
        placed.append((panel, {"x": x, "y": y, "w": width, "h": height}))
        x, row_height = x + width, height
    return placed


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "gridPos": place,
        "datasource": DATASOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "editorMode": "code",
                "expr": expr,
                "legendFormat": legend,
                "range": panel.kind != "stat",
                "instant": panel.kind == "stat",
            }
            for index, (expr, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _options(panel),
    }


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    return [
        {
            "matcher": {"id": "byName", "options": legend},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
        }
        for legend, color in panel.colors
    ]


def _defaults(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, "thresholds": _thresholds(panel)}
    if panel.kind == "stat":
        defaults["color"] = {"mode": "thresholds"}
    else:
        defaults["color"] = {"mode": "palette-classic"}
        defaults["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 40 if panel.stacked else 8,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        }
    return defaults


def _thresholds(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.warn_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.warn_below}]
    if panel.warn_above is not None:
        steps.append({"color": "orange", "value": panel.warn_above})
    return {"mode": "absolute", "steps": steps}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "none",
            "textMode": "auto",
        }
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def text(dashboard: Dashboard) -> str:
    """The file's content."""
    return json.dumps(built(dashboard), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in DASHBOARDS:
        (OUT / f"{each.name}.json").write_text(text(each))
