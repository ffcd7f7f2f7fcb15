"""``python -m tests.quality.ablation``: what each detector adds, what a missing field costs, what baselines reach.

Every run is one of the gate's (its seed, its size) with something left out, or put before a baseline in truecount's
stead; ``ablation.json`` keeps the figures, and ``python -m docs.build_detection`` writes them into the page. Two cores
take twelve minutes for detectors, twenty for fields, five for baselines.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from detectors.catalog.registry import CROWD_DETECTORS, IN_SHADOW
from detectors.lab.baselines import BASELINES
from streams.offline.backtest import Plan, kind_of, run_scenarios, scenario_ids
from tests.quality.__main__ import SEEDS, VIEWS
from tests.quality.gate import figures_of

RECORD = Path(__file__).parent / "ablation.json"
FIELDS = ("ip", "user_agent", "watch_ms", "actor_created_at", "country", "referrer", "id")
WHOLE = Plan(methods=("truecount",), views=VIEWS)
SPARSE = "all but who, what, when"
BASELINE = "baseline"
WHOLE_KIND, NOTHING = "whole", "nothing left out"
"""The run with which the others are compared: without the role ``actors``, as they are."""


def plans() -> dict[str, dict[str, Plan]]:
    """Kind of omission → what is left out → how that is run."""
    voters = [name for name in CROWD_DETECTORS if name not in IN_SHADOW]
    return {
        WHOLE_KIND: {NOTHING: WHOLE},
        "detector": {name: replace(WHOLE, without_detectors=(name,)) for name in voters},
        "field": {
            **{name: replace(WHOLE, without_fields=(name,)) for name in FIELDS},
            SPARSE: replace(WHOLE, without_fields=(*FIELDS, "duration_ms", "owner", "session")),
        },
    }


TOLD = ("precision", "recall", "removed_honest_per_million", "wrong_flags")
"""What the tables tell of a run."""


def measure(plan: Plan, scenarios: list[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Method → scenario → figures."""
    jobs = [(name, seed) for name in scenarios for seed in SEEDS]
    measured: dict[str, dict[str, dict[str, Any]]] = {method: {} for method in plan.methods}
    for report in run_scenarios(jobs, plan):
        figures = figures_of(report)
        measured[report.method][report.scenario] = {name: figures[name] for name in TOLD}
    return measured


def main() -> None:
    """Run what is asked for and add it to the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="*", default=[*plans(), BASELINE], choices=[*plans(), BASELINE])
    parser.add_argument("--only", nargs="*", help="what to leave out, in this order; without, one after the other")
    parser.add_argument("--scenarios", nargs="*", help="scenario ids; without, all of them")
    told = parser.parse_args()
    record: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    asked = told.scenarios or scenario_ids()
    attacks = [name for name in asked if kind_of(name) != "honest"]
    for kind in told.kinds:
        known = {BASELINE: replace(WHOLE, methods=tuple(BASELINES))} if kind == BASELINE else plans()[kind]
        names = BASELINES if kind == BASELINE else known
        kept = record[kind] = {name: runs for name, runs in record.get(kind, {}).items() if name in names}
        for left_out in [name for name in told.only or known if name in known]:
            began = time.monotonic()
            # One witness less flags nobody more, so only attacks are asked; a missing field might.
            measured = measure(known[left_out], attacks if kind == "detector" else asked)
            for method, runs in measured.items():
                kept.setdefault(method if kind == BASELINE else left_out, {}).update(runs)
            RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
            print(f"{kind} {left_out}: {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
