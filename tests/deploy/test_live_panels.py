"""Every panel and every rule, asked of a real Prometheus that scrapes a worker's /metrics."""

from __future__ import annotations

import math
import re
import time
from typing import Any

import pytest

from deploy.grafana import build_dashboards
from tests.deploy.prometheus_server import PrometheusServer
from tests.deploy.promql import with_window
from tests.deploy.test_dashboard import PANELS
from tests.deploy.test_prometheus import RECORDED

WINDOW_SECONDS = 5
PATIENCE_SECONDS = 30.0
CORE_TITLES = {panel.title for each in build_dashboards.DASHBOARDS for panel in each.panels if panel.core}


def wait_for_data(prometheus: PrometheusServer, expr: str) -> list[dict[str, Any]]:
    """Series of an expression, as soon as all of them are numbers (rates need some scrapes)."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    series = prometheus.query(expr)
    while not (series and all(math.isfinite(float(one["value"][1])) for one in series)):
        if time.monotonic() > deadline:
            return []
        time.sleep(0.5)
        series = prometheus.query(expr)
    return series


def check_panel(prometheus: PrometheusServer, panel: dict[str, Any], *, needs_data: bool) -> None:
    """Ask what the panel asks. Of a live worker only CORE_TITLES need data: it may have no flag yet."""
    for target in panel["targets"]:
        expr = with_window(target["expr"], f"{WINDOW_SECONDS}s")
        series = wait_for_data(prometheus, expr) if needs_data else prometheus.query(expr)
        assert series or not needs_data, expr
        wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert all(one["metric"].keys() == wanted for one in series), (expr, wanted)
        assert prometheus.query_range(expr, WINDOW_SECONDS) or not needs_data


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_shows_data_and_every_label_of_its_legend(prometheus: PrometheusServer, panel: dict[str, Any]) -> None:
    check_panel(prometheus, panel, needs_data=True)


def test_every_rule_is_evaluated_without_error(prometheus: PrometheusServer) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(rule["health"] == "unknown" for rule in prometheus.rules()) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert {(rule["name"], rule["health"]) for rule in prometheus.rules() if rule["health"] != "ok"} == set()


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_recorded_series_has_data(prometheus: PrometheusServer, name: str) -> None:
    assert wait_for_data(prometheus, name)


def test_the_panels_that_matter_most_are_marked_as_core() -> None:
    assert {"Events by metric", "Lag", "Raw, by part of the count", "Ready workers"} <= CORE_TITLES
