"""``make quality``: every scenario against its recorded figures; ``--record`` writes them anew."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from streams.offline.backtest import Plan, failure_sentence, run_scenarios, scenario_ids
from tests.quality.gate import by_scenario, fallen

FIGURES = Path(__file__).parent / "figures.json"
SEEDS = (9001,)
"""The gate's alone: nobody tunes on them."""

VIEWS = 60_000.0
"""Background views of a run: small enough for eight minutes of two cores over all scenarios."""


def main() -> int:
    """0 if nothing fell behind and nothing failed, 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the figures of this run as the new base")
    parser.add_argument("--only", nargs="*", help="scenario ids; without, all of them")
    parser.add_argument(
        "--without-accounts", action="store_true", help="without the role actors, which is on by default"
    )
    told = parser.parse_args()
    plan = Plan(methods=("truecount",), views=VIEWS, accounts=not told.without_accounts)
    began = time.monotonic()
    jobs = [(name, seed) for name in told.only or scenario_ids() for seed in SEEDS]
    reports = run_scenarios(jobs, plan, lambda name, n: print(f"{n}/{len(jobs)} {name}", flush=True))
    head, failed = by_scenario(reports), [said for said in map(failure_sentence, reports) if said is not None]
    print(f"{len(jobs)} runs of {VIEWS:,.0f} views in {time.monotonic() - began:.0f} s")
    if failed:
        print(*failed, sep="\n")
        print(f"exceptions were contained in {len(failed)} runs; none may be, and nothing is recorded")
        return 1
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if told.record:
        recorded = {**known, **head} if told.only else head
        FIGURES.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
        print(f"recorded {len(head)} runs in {FIGURES.name}")
        return 0
    base = {run: figures for run, figures in known.items() if not told.only or run in head}
    said = fallen(base, head)
    for sentence in said:
        print(sentence)
    print("nothing fell behind its recorded figures" if not said else f"{len(said)} figures fell behind")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
