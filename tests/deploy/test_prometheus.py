"""The Prometheus files are valid, name only metrics that exist, and every alert has its runbook."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from streams.metrics import REGISTRY
from tests.deploy.conftest import ROOT
from tests.deploy.promql import PROMETHEUS_OWN, exposed_names, metric_names
from tests.deploy.recorded import promtool_file
from tests.deploy.small_yaml import read

FILES = ROOT / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = [rule for group in read(FILES / "rules.yml")["groups"] for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
RECORDED_ALERTS = set(re.findall(r'alertname="(\w+)"', promtool_file.FILE.read_text()))
ALERTS = [rule for rule in RULES if "alert" in rule]


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "rules.yml"],
        ["test", "rules", "rules_test.yml"],
        ["test", "rules", "../../tests/deploy/recorded/faults.yml"],
    ],
    ids=" ".join,
)
def test_promtool_accepts(promtool: str, arguments: list[str]) -> None:
    done = subprocess.run([promtool, *arguments], cwd=FILES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("record") or rule["alert"])
def test_a_rule_names_only_metrics_that_exist(rule: dict[str, Any]) -> None:
    named = metric_names(rule["expr"])
    assert named
    assert named <= exposed_names(REGISTRY) | RECORDED | PROMETHEUS_OWN


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_recorded_series_are_named_level_metric_operation(name: str) -> None:
    assert re.fullmatch(r"job[a-z_]*:truecount_[a-z_]+:[a-z0-9_]+", name)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_where_its_runbook_stands(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_is_seen_firing_and_seen_silent(alert: dict[str, Any]) -> None:
    """Either in rules_test.yml, or recorded. TruecountNoWorkers' silent case stands in that of TruecountWorkerDown."""
    cases, name = (FILES / "rules_test.yml").read_text(), alert["alert"]
    written = re.search(rf"alertname: {name}\n\s+exp_alerts:", cases) and re.search(rf"alertname: {name}}}", cases)
    assert written or name in RECORDED_ALERTS


def test_recorded_faults_are_those_of_new_alerts_and_of_some_that_were_there_before() -> None:
    assert {alert["alert"] for alert in ALERTS} >= RECORDED_ALERTS
    assert len(RECORDED_ALERTS) >= 15
