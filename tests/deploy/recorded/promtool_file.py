"""Writes faults.yml, a file of promtool's rule tests, from the recordings of faults."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.recorded.scrapes import SECONDS, Recording, names_of
from tests.deploy.small_yaml import read

FILE = Path(__file__).with_name("faults.yml")
RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "rules.yml"

HEAD = """\
# Written by `python -m tests.deploy.recorded`: do not edit.
# Scrapes of live workers, {seconds} s apart, before and during a real fault. After the last scrape the fault goes on:
# gauges keep their values, and counters their mean rate. Times are shifted to promtool's, which begins at 0.

rule_files: [../../../deploy/prometheus/rules.yml]
evaluation_interval: {seconds}s

tests:
"""


MARGIN_SECONDS = 60
"""After the last scrape, and the time for which an alert waits (``for``), it must fire within so long."""


@dataclass(slots=True)
class Fault:
    """A recorded fault, and the alerts that it must raise."""

    name: str
    recording: Recording
    alerts: tuple[str, ...]


def rules() -> list[dict[str, Any]]:
    """All rules of deploy/prometheus/rules.yml."""
    return [rule for group in read(RULES)["groups"] for rule in group["rules"]]


def _held(alert: dict[str, Any]) -> int:
    """Seconds for which an alert waits before it fires."""
    return 60 * int(alert.get("for", "0m").removesuffix("m"))


def write(faults: list[Fault], *, keep: bool) -> None:
    """Write the file anew. ``keep``: faults that are in it, and were not recorded now, stay."""
    tests: dict[str, str] = {}
    if keep and FILE.exists():
        _, *parts = re.split(r"^(?=  - name: )", FILE.read_text(), flags=re.MULTILINE)
        tests = {part.partition("\n")[0].removeprefix("  - name: "): part.rstrip("\n") + "\n" for part in parts}
    known = rules()
    tests |= {fault.name: _test(fault, known) for fault in faults}
    FILE.write_text(HEAD.format(seconds=SECONDS) + "\n".join(tests.values()))


def _test(fault: Fault, known: list[dict[str, Any]]) -> str:
    alerts = {rule["alert"]: rule for rule in known if "alert" in rule}
    recording = fault.recording
    names = set().union(*(names_of(alerts[alert]["expr"], known) for alert in fault.alerts))
    parts = [f"  - name: {fault.name}\n    interval: {SECONDS}s\n    input_series:\n"]
    for name, values in recording.series(names).items():
        parts.append(f"      - {{series: '{name}', values: \"{values}\"}}\n")
    parts.append("    promql_expr_test:\n")
    silent = max(0, recording.healthy - 1) * SECONDS
    end = (len(recording.scrapes) - 1) * SECONDS
    for alert in fault.alerts:
        # Whether it fires: its text has values that the next recording changes.
        expr = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) > bool 0'
        parts.append(f"      - {{expr: '{expr}', eval_time: {silent}s}}\n")
        parts.append(f"      - expr: '{expr}'\n        eval_time: {end + _held(alerts[alert]) + MARGIN_SECONDS}s\n")
        parts.append("        exp_samples: [{labels: '{}', value: 1}]\n")
    return "".join(parts)
