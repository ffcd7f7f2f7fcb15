"""Builds dashboards/truecount.json: ``python deploy/grafana/build_dashboard.py``.

Grafana's JSON is mostly repetition; what a person decides about a panel is in PANELS. The schema is
the Classic one, because Grafana 10 to 13 all read it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UID = "truecount"
SCHEMA_VERSION = 39
GRID_WIDTH = 24
DATASOURCE = {"type": "prometheus", "uid": "$datasource"}
OUT = Path(__file__).parent / "dashboards" / "truecount.json"

EVENTS_PER_SECOND = "evt/s"


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


def quantile(q: float, metric: str) -> str:
    """PromQL of a quantile by role."""
    return f"histogram_quantile({q}, sum by (role, le) (rate({metric}_bucket[$__rate_interval])))"


def share(part: str) -> str:
    """PromQL of a part's share of the raw count, by metric; 0 if the part is empty."""
    raw = "sum by (metric) (truecount_counted_events)"
    return f'(sum by (metric) (truecount_counted_events{{part="{part}"}}) or 0 * {raw}) / ({raw} > 0)'


def rate(metric: str, *labels: str) -> str:
    """PromQL of a counter's rate per second, summed over everything but the labels."""
    by = f" by ({', '.join(labels)}) " if labels else ""
    return f"sum{by}(rate({metric}[$__rate_interval]))"


DELAY = "time() - truecount_event_time_seconds"

PANELS = (
    Panel(
        "Ready workers",
        "Workers whose /readyz answers 200. If one is missing, its /readyz has the reason.",
        "short",
        (("sum(truecount_ready)", "ready"),),
        kind="stat",
        core=True,
        warn_below=1,
    ),
    Panel(
        "Tasks",
        "Tasks by role. A task is one role on one partition, so the sum of a role is its number of partitions.",
        "short",
        (("sum by (role) (truecount_tasks)", "{{role}}"),),
        kind="stat",
        core=True,
    ),
    Panel(
        "Targets",
        "Targets and metrics whose state the workers own. It grows with the platform; disk use grows with it.",
        "short",
        (("sum(truecount_targets)", "targets"),),
        kind="stat",
        core=True,
    ),
    Panel(
        "Open flags",
        "Flags that are open now.",
        "short",
        (("sum(truecount_open_cases)", "open"),),
        kind="stat",
        core=True,
    ),
    Panel(
        "Since progress",
        "Time since the last progress of the slowest worker. Without input it rises too: compare the lag.",
        "s",
        (("max(time() - truecount_last_progress_timestamp_seconds)", "slowest"),),
        kind="stat",
        core=True,
        warn_above=120,
    ),
    Panel(
        "Restoring",
        "State records that running restores have not read yet. After a restart it falls to 0.",
        "short",
        (("sum(truecount_restore_remaining_records)", "to read"),),
        kind="stat",
        core=True,
        warn_above=1,
    ),
    Panel(
        "Events by metric",
        "Events audited per second.",
        EVENTS_PER_SECOND,
        ((rate("truecount_events_total", "metric"), "{{metric}}"),),
        core=True,
    ),
    Panel(
        "Records read",
        "Kafka records read per second. In by-target a record is a frame of many events.",
        "reqps",
        ((rate("truecount_records_total", "role", "topic"), "{{role}} {{topic}}"),),
        core=True,
    ),
    Panel(
        "Lag",
        "Records between the positions of tasks and the ends of their partitions. If it rises steadily, add workers.",
        "short",
        (("sum by (role, topic) (truecount_lag_records)", "{{role}} {{topic}}"),),
        core=True,
    ),
    Panel(
        "Event-time delay",
        "Delay of event time behind wall time, in the slowest and the fastest partition. About ten seconds are "
        "the allowed lateness. In a replay of recorded events it is their age.",
        "s",
        ((f"max({DELAY})", "slowest"), (f"min({DELAY})", "fastest")),
        core=True,
    ),
    Panel(
        "Raw, by part of the count",
        "Present part of all events counted since the workers started. The stack is raw = valid + quarantined "
        "+ invalid; corrections move events between the parts.",
        "short",
        (("sum by (part) (truecount_counted_events)", "{{part}}"),),
        stacked=True,
        core=True,
    ),
    Panel(
        "Not valid, share of raw",
        "Share of each metric's raw count that is quarantined or invalid.",
        "percentunit",
        ((share("quarantined"), "{{metric}} quarantined"), (share("invalid"), "{{metric}} invalid")),
        core=True,
    ),
    Panel(
        "Flags opened by reason",
        "Flags opened per hour, by metric and leading reason.",
        "short",
        ((rate("truecount_flag_reasons_total", "metric", "reason") + " * 3600", "{{metric}} {{reason}}"),),
        stacked=True,
    ),
    Panel(
        "Flag revisions by verdict",
        "Revisions of flags per hour, by verdict and status. Explained surges and rule bursts are no alarm.",
        "short",
        (
            (
                rate('truecount_flags_total{verdict!~"explained|rule"}', "verdict", "status") + " * 3600",
                "{{verdict}} {{status}}",
            ),
            (rate('truecount_flags_total{verdict="explained", status="opened"}') + " * 3600", "surges explained"),
            (rate('truecount_flags_total{verdict="rule", status="opened"}') + " * 3600", "rule bursts"),
        ),
        stacked=True,
    ),
    Panel(
        "Corrections",
        "Events moved by corrections per second, by metric and the part of the count that they are moved to.",
        EVENTS_PER_SECOND,
        ((rate("truecount_corrected_events_total", "metric", "to"), "{{metric}} to {{to}}"),),
    ),
    Panel(
        "Bad input by reason",
        "Records refused per second. Each is in the dead-letters topic with its reason, topic, partition and offset.",
        "reqps",
        ((rate("truecount_dead_letters_total", "reason"), "{{reason}}"),),
        stacked=True,
    ),
    Panel(
        "Late, invalid on arrival, unmatched",
        "Late events are counted, but not added to closed windows. Events that match a rule are invalid, by reason. "
        "Redelivered events were counted before and are skipped. There should be no broken frames, no records that "
        "were deleted before they were read, and no exceptions in detection.",
        EVENTS_PER_SECOND,
        (
            (rate("truecount_late_events_total"), "late"),
            (rate("truecount_rejected_events_total", "reason"), "{{reason}}"),
            (rate("truecount_unmatched_undos_total"), "undo without event"),
            (rate("truecount_redelivered_events_total"), "redelivered"),
            (rate("truecount_broken_frames_total"), "broken frames"),
            (rate("truecount_deleted_records_total"), "deleted unread"),
            (rate("truecount_unjudged_windows_total", "part"), "detection failed: {{part}}"),
        ),
        core=True,
    ),
    Panel(
        "Checkpoint time",
        "Duration of a checkpoint, median and 95th percentile. Outputs can be read only after a checkpoint.",
        "s",
        (
            (quantile(0.5, "truecount_checkpoint_seconds"), "{{role}} p50"),
            (quantile(0.95, "truecount_checkpoint_seconds"), "{{role}} p95"),
        ),
        core=True,
    ),
    Panel(
        "Checkpoints",
        "Checkpoints per second, by role and outcome. A rebalance may cause a single failure.",
        "ops",
        ((rate("truecount_checkpoints_total", "role", "outcome"), "{{role}} {{outcome}}"),),
        core=True,
    ),
    Panel(
        "Micro-batch time",
        "95th percentile of the duration of a micro-batch in a role, without Kafka: the cost of the processor alone.",
        "s",
        ((quantile(0.95, "truecount_batch_seconds"), "{{role}} p95"),),
        core=True,
    ),
)


def dashboard() -> dict[str, Any]:
    """The whole dashboard in the Classic schema."""
    return {
        "uid": UID,
        "title": "truecount",
        "description": "Input, progress and lag of truecount, and the valid part of the counts.",
        "tags": ["truecount"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "timezone": "browser",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "prometheus",
                    "current": {"text": "Prometheus", "value": "truecount-prometheus"},
                    "hide": 0,
                }
            ]
        },
        "annotations": {"list": []},
        "links": [],
        "panels": [_panel(number, panel, place) for number, (panel, place) in enumerate(_placed(PANELS), start=1)],
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
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    }


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


def text() -> str:
    """The file's content."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OUT.write_text(text())
