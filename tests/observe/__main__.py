"""Observes an attack: ``python -m tests.observe``, which `make observe` runs. Needs Java, Maven and Prometheus.

It asks every panel, mark and alert of a real Prometheus, and draws both dashboards into docs/pictures/. It exits with 1
if one of them has no data, or if a sum of counts fell while the worker was killed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.testbed.brokers import kafka_is_missing
from deploy.grafana.build_dashboards import DASHBOARDS, built
from tests.deploy.recorded.promtool_file import rules
from tests.observe.picture import Line, Mark, Span, draw
from tests.observe.platform import Observed, observed, play
from tests.observe.questions import marks, panel_lines, parts_of

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
WINDOW = "15s"
"""Grafana's $__rate_interval, for a Prometheus that scrapes every second."""


def main() -> int:
    """Run it all. Returns the exit code."""
    missing = kafka_is_missing() or (None if shutil.which("prometheus") else "prometheus is missing")
    if missing:
        _say(f"make observe cannot run: {missing}")
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="truecount-observe-") as scratch, observed(Path(scratch)) as platform:
        _say("Kafka, a worker and Prometheus run; traffic begins, with an attack in its middle")
        play(platform, _say)
        problems = _ask(platform)
    for problem in problems:
        _say(f"FAILED  {problem}")
    _say(f"{len(problems)} problems; {time.monotonic() - began:.0f} s")
    return 1 if problems else 0


def _ask(platform: Observed) -> list[str]:
    span = Span(platform.began, time.time())
    problems: list[str] = []
    for dashboard in DASHBOARDS:
        made = built(dashboard)
        lines, shown, found = _answers(platform, made, span)
        problems += found
        path = PICTURES / f"{dashboard.name}.png"
        draw(made, lines, path, marks=shown, span=span)
        queries = sum(len(panel["targets"]) for panel in made["panels"])
        _say(f"{dashboard.title}: {len(made['panels'])} panels, {queries} queries, drawn as {path.name}")
    problems += _alerts(platform)
    problems += _falls(platform, span)
    return problems


def _answers(
    platform: Observed, made: dict[str, Any], span: Span
) -> tuple[dict[int, list[Line]], list[Mark], list[str]]:
    lines: dict[int, list[Line]] = {}
    problems: list[str] = []
    for panel in made["panels"]:
        lines[panel["id"]] = []
        try:
            lines[panel["id"]] = panel_lines(platform.prometheus, panel, window=WINDOW, span=span)
        except LookupError as error:
            problems.append(f"{made['title']}, {panel['title']}: no data for {error}")
    shown: list[Mark] = []
    for annotation in made["annotations"]["list"]:
        try:
            shown += marks(platform.prometheus, annotation, span)
        except LookupError as error:
            problems.append(f"{made['title']}, mark {annotation['name']}: no data for {error}")
    return lines, shown, problems


def _alerts(platform: Observed) -> list[str]:
    """Problems of the rules: one that cannot be evaluated, or compares something that there is not."""
    loaded = platform.prometheus.rules()
    problems = [f"rule {rule['name']}: {rule.get('lastError')}" for rule in loaded if rule["health"] != "ok"]
    alerts = [rule for rule in rules() if "alert" in rule]
    for rule in alerts:
        problems += [
            f"{rule['alert']}: no data for {part}"
            for part in parts_of(rule["expr"])
            if not platform.prometheus.query(part)
        ]
    firing = sorted(rule["name"] for rule in loaded if rule["type"] == "alerting" and rule["state"] == "firing")
    _say(f"{len(alerts)} alerts asked; firing: {', '.join(firing) or 'none'}")
    return problems


def _falls(platform: Observed, span: Span) -> list[str]:
    """Whether the sum of all counts fell, although no event was taken away: a restart must not show."""
    audit = next(built(each) for each in DASHBOARDS if each.name == "audit")
    panel = next(panel for panel in audit["panels"] if panel["title"].startswith("Raw, by part"))
    series = platform.prometheus.query_between(f"sum({panel['targets'][0]['expr']})", span.start, span.end)
    values = [float(value) for _, value in series[0]["values"]] if series else []
    fell = [(before, after) for before, after in pairwise(values) if after < before]
    _say(f"counted {values[-1]:,.0f} events; the sum never fell" if values and not fell else f"the sum fell: {fell}")
    return [f"the sum of all counts fell from {before:,.0f} to {after:,.0f}" for before, after in fell]


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
