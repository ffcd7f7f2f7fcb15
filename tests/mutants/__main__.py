"""``make mutants``: changes the code in one place after another, and says which changes no test notices.

Kafka and brokers are left out: a change is noticed if a test of ``tests/detectors``, ``tests/contract`` or
``tests/streams``, or a doctest, fails.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import time
from collections import Counter
from pathlib import Path

from tests.mutants.campaign import Campaign, Verdict
from tests.mutants.server import KILLED, SURVIVED, TIMEOUT
from tests.mutants.sites import Site, sites_of

LEAST_SHARE = 0.85
"""Part of the changes that must be noticed."""


def main() -> int:
    """Sample changes, run the tests on each, and print what was found; 1 if too few were noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the sample; a new one each time if not given")
    parser.add_argument("--count", type=int, default=200, help="changes in the sample (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=20.0, help="for all of it (default: %(default)s)")
    parser.add_argument("--only", default="", help="changes of files that begin like this, such as detectors/state")
    parser.add_argument("--measure", action="store_true", help="measure the tests again, even if nothing has changed")
    options = parser.parse_args()
    end = time.monotonic() + 60.0 * options.minutes
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    root = Path.cwd()
    sites = [site for site in sites_of(root) if site.path.startswith(options.only)]
    sample = random.Random(seed).sample(sites, min(options.count, len(sites)))
    print(f"seed {seed}: {len(sample)} of {len(sites)} possible changes", flush=True)
    with Campaign(root, measure_again=options.measure) as campaign:
        verdicts = campaign.run(sample, end)
    return report(verdicts, seed, len(sample))


def report(verdicts: list[Verdict], seed: int, sampled: int) -> int:
    """Print survivors and figures; 1 if too few changes were noticed."""
    for verdict in sorted(verdicts, key=lambda verdict: (verdict.site.path, verdict.site.line)):
        if verdict.kind == SURVIVED:
            print(f"\nsurvived: {described(verdict.site)}\n{verdict.diff}{verdict.note}")
    kinds = Counter(verdict.kind for verdict in verdicts)
    noticed = kinds[KILLED] + kinds[TIMEOUT]
    print("\nnoticed of all, by package:")
    of_package = Counter(verdict.site.package for verdict in verdicts)
    of_noticed = Counter(verdict.site.package for verdict in verdicts if verdict.kind != SURVIVED)
    for package, number in sorted(of_package.items()):
        print(f"  {package:24} {of_noticed[package]:4} of {number:4}")
    share = noticed / max(1, len(verdicts))
    if len(verdicts) < sampled:
        print(f"the time was over after {len(verdicts)} of {sampled}")
    print(
        f"seed {seed}: sampled {len(verdicts)}, killed {kinds[KILLED]}, timeouts {kinds[TIMEOUT]}, "
        f"survived {kinds[SURVIVED]}: {share:.1%} noticed, {LEAST_SHARE:.0%} wanted"
    )
    return 0 if verdicts and share >= LEAST_SHARE else 1


def described(site: Site) -> str:
    """Where a change is, and of what kind."""
    return f"{site.path}:{site.line} ({site.what})"


if __name__ == "__main__":
    sys.exit(main())
