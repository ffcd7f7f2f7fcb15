"""Write the tables of docs/detection.md from rules and recorded figures: ``python -m docs.build_detection``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detectors.verdict.crowd_rules import RULES, Required
from detectors.verdict.evidence import OWN_HOW, OWN_WHO
from streams.offline.backtest import kind_of, scenario_ids

PAGE = Path(__file__).parent / "detection.md"
FIGURES = Path(__file__).parents[1] / "tests" / "quality" / "figures.json"
ABLATION = FIGURES.with_name("ablation.json")
ATTACKS = ("overt", "stealthy")
TOLD_LOSS = 0.01
"""Recall that leaving something out must cost before a scenario is named."""
OMISSION_HEADS = (
    "overt recall",
    "stealthy recall",
    "most lost",
    "least precision",
    "wrong flags",
    "honest removed, worst",
)
OWN_MODELS = {OWN_WHO: "an own model of who", OWN_HOW: "an own model of how"}
NAMES = (
    "precision",
    "recall",
    "average_precision",
    "removed_honest_per_million",
    "detect_seconds",
    "estimate_error",
    "wrong_flags",
)


def table() -> str:
    """The recorded figures by scenario, misses included."""
    figures = json.loads(FIGURES.read_text())
    rows = ["| scenario | kind | " + " | ".join(name.replace("_", " ") for name in NAMES) + " |"]
    rows.append("|---|---|" + "--:|" * len(NAMES))
    for scenario in scenario_ids():
        for run in sorted(run for run in figures if run.split("/")[0] == scenario):
            cells = ["–" if figures[run][name] is None else f"{figures[run][name]:,.6g}" for name in NAMES]
            rows.append(f"| {scenario} | {kind_of(scenario)} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def rules() -> str:
    """The rules by which evidence convicts a crowd, in their order."""
    rows = ["| rule | evidence | and | unless | why |", "|---|---|---|---|---|"]
    for rule in RULES:
        second = "(alone)" if rule.second is None else _required(rule.second)
        if rule.score_max < math.inf:
            second = f"(alone, score at most {rule.score_max:g})"
        unless = "–" if rule.unless is None else rule.unless.text
        rows.append(f"| {rule.name} | {_required(rule.first)} | {second} | {unless} | {rule.sentence} |")
    return "\n".join(rows)


def _required(required: Required) -> str:
    names = [OWN_MODELS.get(kind, f"`{kind}`") for kind in required.kinds]
    *others, last = names
    return f"{', '.join(others)}{' or ' if others else ''}{last}, {required.least_share:.0%}"


def omissions(kind: str) -> str:
    """What leaving something out does, and what baselines reach: mean recall of overt and stealthy attacks, the most
    it costs, the least precision, honest harm."""
    record = json.loads(ABLATION.read_text())
    measured = {scenario for runs in record[kind].values() for scenario in runs}
    whole = {scenario: run for scenario, run in record["whole"]["nothing left out"].items() if scenario in measured}
    heads = f"without this {kind}", *OMISSION_HEADS
    rows = [f"| {' | '.join(heads)} |", "|---|--:|--:|---|--:|--:|--:|"]
    baselines = [(f"*{name}* instead", runs) for name, runs in record["baseline"].items()]
    for name, runs in [("nothing left out", whole), *record[kind].items(), *baselines]:
        loss, where = max((_recall(whole[s]) - _recall(run), s) for s, run in runs.items() if kind_of(s) != "honest")
        means = [_mean([_recall(run) for s, run in runs.items() if kind_of(s) == group]) for group in ATTACKS]
        most = f"{where} {_recall(whole[where]):.2f} → {_recall(runs[where]):.2f}" if loss > TOLD_LOSS else "–"
        found = [run["precision"] for s, run in runs.items() if kind_of(s) != "honest" and run["precision"] is not None]
        wrong = sum(run["wrong_flags"] for run in runs.values())
        removed = max(run["removed_honest_per_million"] for run in runs.values())
        least = f"{min(found):.3f}" if found else "–"
        rows.append(f"| {name} | {means[0]:.3f} | {means[1]:.3f} | {most} | {least} | {wrong:,} | {removed:,.0f} |")
    return "\n".join(rows)


def baselines() -> str:
    """By scenario, precision and recall of truecount and of each baseline, or what of honest events each removed."""
    methods = {"truecount": _whole(), **json.loads(ABLATION.read_text())["baseline"]}
    rows = ["| scenario | " + " | ".join(methods) + " |", "|---|" + "--:|" * len(methods)]
    for scenario in [name for name in scenario_ids() if all(name in runs for runs in methods.values())]:
        cells = [_against(scenario, runs[scenario]) for runs in methods.values()]
        rows.append(f"| {scenario} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _whole() -> dict[str, dict[str, Any]]:
    return {run.split("/")[0]: figures for run, figures in json.loads(FIGURES.read_text()).items()}


def _against(scenario: str, run: dict[str, Any]) -> str:
    if kind_of(scenario) == "honest":
        return f"{run['removed_honest_per_million']:,.0f} removed"
    return f"{'–' if run['precision'] is None else format(run['precision'], '.2f')} / {_recall(run):.2f}"


def _recall(run: dict[str, Any]) -> float:
    return float(run["recall"] or 0.0)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


TABLES: dict[str, Callable[[], str]] = {
    "rules": rules,
    "figures": table,
    "baselines": baselines,
    "detectors": lambda: omissions("detector"),
    "fields": lambda: omissions("field"),
}


def build(text: str) -> str:
    """The page with each table between its marks."""
    for name, make in TABLES.items():
        mark = f"<!-- {name} -->"
        before, _, after = text.split(mark)
        text = f"{before}{mark}\n{make()}\n{mark}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(build(PAGE.read_text()))
