"""The Grafana dashboard is fresh, complete and in the schema that old and new Grafanas read."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from deploy.grafana import build_dashboards
from streams.metrics import REGISTRY
from tests.deploy.conftest import ROOT
from tests.deploy.promql import exposed_names, metric_names
from tests.deploy.small_yaml import read

GRAFANA = ROOT / "deploy" / "grafana"
FILES: dict[str, dict[str, Any]] = {
    each.name: json.loads((GRAFANA / "dashboards" / f"{each.name}.json").read_text())
    for each in build_dashboards.DASHBOARDS
}
PANELS: list[dict[str, Any]] = [panel for dashboard in FILES.values() for panel in dashboard["panels"]]

each_dashboard = pytest.mark.parametrize("name", FILES)
each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])


def test_the_dashboards_are_what_their_script_builds() -> None:
    built = {f"{each.name}.json": build_dashboards.text(each) for each in build_dashboards.DASHBOARDS}
    stored = {path.name: path.read_text() for path in (GRAFANA / "dashboards").iterdir()}
    assert stored == built, "run: python -m deploy.grafana.build_dashboards"


@each_dashboard
def test_a_dashboard_is_provisionable(name: str) -> None:
    dashboard = FILES[name]
    assert dashboard["schemaVersion"] == 39
    assert dashboard["uid"] == f"truecount-{name}"
    assert "id" not in dashboard
    panels = dashboard["panels"]
    assert 1 <= len(panels) <= 30
    assert len({panel["id"] for panel in panels}) == len(panels)
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    used = {found for panel in panels for target in panel["targets"] for found in VARIABLE.findall(target["expr"])}
    assert used - {"__rate_interval"} == variables.keys() - {"datasource"}


VARIABLE = re.compile(r"\$(\w+)")


def test_a_chosen_worker_is_the_only_one_that_operations_shows() -> None:
    for panel in FILES["operations"]["panels"]:
        for target in panel["targets"]:
            selectors = re.findall(r"(?:truecount|process)_\w+(\{[^}]*\})?", target["expr"])
            assert selectors
            assert all('instance=~"$instance"' in selector for selector in selectors), target["expr"]


@each_dashboard
def test_deployments_and_opened_flags_are_marked_by_numbers_and_never_by_ids(name: str) -> None:
    marks = {mark["name"]: mark for mark in FILES[name]["annotations"]["list"]}
    assert marks.keys() == {"Deployments", "Flags opened"}
    for mark in marks.values():
        assert metric_names(mark["expr"]) <= exposed_names(REGISTRY)
        assert set(re.findall(r"\{\{(\w+)\}\}", mark["titleFormat"] + mark["textFormat"])) <= {
            "version",
            "config",
            "metric",
            "verdict",
        }


def test_the_provisioned_data_source_is_the_one_selected() -> None:
    (source,) = read(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    assert source["uid"] == build_dashboards.PROVISIONED


@each_panel
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["type"] in {"stat", "timeseries"}
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "$datasource"}


@each_panel
def test_a_panel_asks_for_metrics_that_exist(panel: dict[str, Any]) -> None:
    refs = [target["refId"] for target in panel["targets"]]
    assert refs
    assert len(set(refs)) == len(refs)
    for target in panel["targets"]:
        assert target["legendFormat"]
        named = metric_names(target["expr"])
        assert named
        assert named <= exposed_names(REGISTRY)


@each_dashboard
def test_panels_stay_on_the_grid_and_off_each_other(name: str) -> None:
    places = [panel["gridPos"] for panel in FILES[name]["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for a, b in itertools.combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above
