"""Measures what the accounts' conduct decided: settlements of cases, and rulings on actors, against the labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from detectors.accounts.outcome import RulingRecord
from detectors.cases.settlements import ACTED, AWAITED, EMPTY_ACCOUNTS, UNSETTLED
from detectors.controls import AUTOMATED, KINDS
from detectors.lab.measure import Report, Truth, claim
from detectors.lab.removals import Removal, quarantined, remaining
from detectors.records import Flag, Outcome

SETTLED_WITHIN = 0.2
"""A settlement ends correctly if the number of events that it condemns differs from the number of bought events among
those in quarantine by at most this share of them: the bought part is known from a sample of 256 accounts."""

AUTOMATED_KIND = KINDS[AUTOMATED]


def measure_settlements(report: Report, truth: Truth, outcome: Outcome) -> None:
    """Count the cases that the conduct of their accounts has settled, those settled correctly, and those left open."""
    last: dict[str, Flag] = {flag.flag_id: flag for flag in outcome.flags}
    taken, kept = _by_flag(quarantined(outcome.corrections)), _by_flag(remaining(outcome.corrections))
    for ident, flag in last.items():
        codes = {reason.code for reason in flag.reasons}
        if codes & {AWAITED, UNSETTLED}:
            report.unsettled += 1
        elif codes & {EMPTY_ACCOUNTS, ACTED}:
            report.settled += 1
            removals = taken.get(ident, [])
            total = sum(removal.count for removal in removals)
            bought = sum(right for _, right in claim(truth, removals))
            condemned = sum(removal.count for removal in kept.get(ident, []))
            report.settled_right += abs(condemned - bought) <= SETTLED_WITHIN * total
    if report.settled:
        report.settled_share = report.settled_right / report.settled


def measure_rulings(report: Report, truth: Truth, rulings: Mapping[str, RulingRecord]) -> None:
    """Count the actors with bought events, the others, and of both those with a ruling, by its kind."""
    report.bought_actors = len(truth.bought_actors)
    report.honest_actors = len(truth.actors) - report.bought_actors
    for actor, ruling in sorted(rulings.items()):
        if ruling.until <= ruling.as_of:
            continue  # it was taken back
        counts = report.rulings.setdefault(ruling.ruling, {"bought": 0, "honest": 0})
        counts["bought" if actor in truth.bought_actors else "honest"] += 1
    automated = report.rulings.get(AUTOMATED_KIND, {"bought": 0, "honest": 0})
    if report.bought_actors:
        report.actor_recall = automated["bought"] / report.bought_actors
    report.honest_automated_per_thousand = 1000.0 * automated["honest"] / max(1, report.honest_actors)


def _by_flag(removals: list[Removal]) -> dict[str, list[Removal]]:
    found: dict[str, list[Removal]] = defaultdict(list)
    for removal in removals:
        found[removal.flag].append(removal)
    return found
