"""Write the table of docs/detection.md from the gate's recorded figures: ``python -m docs.build_detection``."""

from __future__ import annotations

import json
from pathlib import Path

from streams.backtesting import kind_of, scenario_ids

PAGE = Path(__file__).parent / "detection.md"
FIGURES = Path(__file__).parents[1] / "tests" / "quality" / "figures.json"
MARK = "<!-- figures -->"
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


def build(text: str) -> str:
    """The page with the table between its marks."""
    before, _, after = text.split(MARK)
    return f"{before}{MARK}\n{table()}\n{MARK}{after}"


if __name__ == "__main__":
    PAGE.write_text(build(PAGE.read_text()))
