"""``python -m tests.quality.ablation``: what each detector adds, what a missing field costs.

Every run is one of the gate's (its seed, its size) with something left out; ``ablation.json`` keeps the figures, and
``python -m docs.build_detection`` writes them into the page. Two cores take twelve
minutes for detectors, twenty for fields.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from detectors.registry import CROWD_DETECTORS, IN_SHADOW
from streams.backtesting import Plan, kind_of, run_scenarios, scenario_ids
from tests.quality.__main__ import SEEDS, VIEWS
from tests.quality.gate import figures_of

RECORD = Path(__file__).parent / "ablation.json"
FIELDS = ("ip", "user_agent", "watch_ms", "actor_created_at", "country", "referrer", "id")
WHOLE = Plan(methods=("truecount",), views=VIEWS)
SPARSE = "all but who, what, when"


def plans() -> dict[str, dict[str, Plan]]:
    """Kind of omission → what is left out → how that is run."""
    voters = [name for name in CROWD_DETECTORS if name not in IN_SHADOW]
    return {
        "detector": {name: replace(WHOLE, without_detectors=(name,)) for name in voters},
        "field": {
            **{name: replace(WHOLE, without_fields=(name,)) for name in FIELDS},
            SPARSE: replace(WHOLE, without_fields=(*FIELDS, "duration_ms", "owner", "session")),
        },
    }


TOLD = ("precision", "recall", "removed_honest_per_million", "wrong_flags")
"""What the tables tell of a run."""


def measure(plan: Plan, scenarios: list[str]) -> dict[str, dict[str, Any]]:
    """Scenario → figures."""
    jobs = [(name, seed) for name in scenarios for seed in SEEDS]
    figures = {report.scenario: figures_of(report) for report in run_scenarios(jobs, plan)}
    return {scenario: {name: run[name] for name in TOLD} for scenario, run in figures.items()}


def main() -> None:
    """Run what is asked for and add it to the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="*", default=list(plans()), choices=list(plans()))
    parser.add_argument("--only", nargs="*", help="what to leave out, in this order; without, one after the other")
    told = parser.parse_args()
    record: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    attacks = [name for name in scenario_ids() if kind_of(name) != "honest"]
    for kind in told.kinds:
        known = plans()[kind]
        record[kind] = {name: runs for name, runs in record.get(kind, {}).items() if name in known}
        for left_out in [name for name in told.only or known if name in known]:
            plan, began = known[left_out], time.monotonic()
            # One witness less flags nobody more, so only attacks are asked; a missing field might.
            record[kind][left_out] = measure(plan, attacks if kind == "detector" else scenario_ids())
            RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
            print(f"{kind} {left_out}: {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
