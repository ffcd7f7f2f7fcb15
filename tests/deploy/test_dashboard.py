"""The Grafana dashboard is fresh, complete and in the schema that old and new Grafanas read."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from deploy.grafana import build_dashboard
from streams.metrics import REGISTRY
from tests.deploy.conftest import ROOT
from tests.deploy.promql import exposed_names, metric_names
from tests.deploy.small_yaml import read

GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "truecount.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]

each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])


def test_the_dashboard_is_what_its_script_builds() -> None:
    assert (GRAFANA / "dashboards" / "truecount.json").read_text() == build_dashboard.text(), (
        "run: python deploy/grafana/build_dashboard.py"
    )


def test_the_dashboard_is_provisionable() -> None:
    assert DASHBOARD["schemaVersion"] == 39
    assert DASHBOARD["uid"] == "truecount"
    assert "id" not in DASHBOARD
    assert 1 <= len(PANELS) <= 20
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )


def test_the_provisioned_data_source_is_the_one_selected() -> None:
    (source,) = read(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    assert source["uid"] == DASHBOARD["templating"]["list"][0]["current"]["value"]


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


def test_panels_stay_on_the_grid_and_off_each_other() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for a, b in itertools.combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above
